// SPDX-License-Identifier: GPL-2.0-only
/* Prints how many tickets the kernel module has sold. */
#include <stdio.h>

#include "ticket_office.h"

int main(void)
{
	FILE *file = fopen(TICKET_OFFICE_SOLD, "r");
	unsigned int sold;

	if (!file) {
		puts("the office is closed: ticket_office is not loaded");
		return 1;
	}
	if (fscanf(file, "%u", &sold) != 1) {
		perror(TICKET_OFFICE_SOLD);
		fclose(file);
		return 1;
	}
	fclose(file);
	printf("%u tickets sold\n", sold);
	return 0;
}
