/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM seven

#if !defined(SEVEN_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define SEVEN_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(seven_called,
	TP_PROTO(int n),
	TP_ARGS(n),
	TP_STRUCT__entry(__field(int, n)),
	TP_fast_assign(__entry->n = n;),
	TP_printk("n=%d", __entry->n)
);

#endif

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE seven_trace
#include <trace/define_trace.h>
