# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# The debhelper sequence of 'dh $@ --with kbtf'; goes to Debian/Debhelper/Sequence/ of Perl.

use strict;
use warnings;
use Debian::Debhelper::Dh_Lib;

# The modules are in their packages by then, whoever put them there, and nothing has stripped them.
insert_after('dh_install', 'dh_kbtf');

1;
