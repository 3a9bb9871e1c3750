// SPDX-License-Identifier: GPL-2.0-only
/*
 * transfer - sends bytes over loopback under one congestion control.
 *
 *   transfer steady BYTES          with the module's
 *   transfer eager.bpf.o BYTES     with the BPF object's, registered while this runs
 *
 * Prints "NAME: BYTES bytes", then what the BPF programs counted. Exit status: 1 on failure.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

static void check(int failed, const char *what)
{
	if (failed) {
		perror(what);
		exit(1);
	}
}

/* The same for both ends: an accepted connection has that of its listener. */
static int make_socket(const char *control)
{
	char chosen[16] = "";
	socklen_t len = sizeof(chosen);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	check(fd < 0, "socket");
	check(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, strlen(control)), control);
	check(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, chosen, &len), "TCP_CONGESTION");
	check(strncmp(chosen, control, sizeof(chosen)), "another congestion control was chosen");
	return fd;
}

static void send_all(int fd, long bytes)
{
	static char data[1 << 16];

	while (bytes > 0) {
		ssize_t sent = write(fd, data, bytes < (long)sizeof(data) ? bytes : sizeof(data));

		check(sent <= 0, "write");
		bytes -= sent;
	}
	close(fd);
}

static long receive_all(int fd)
{
	static char data[1 << 16];
	long bytes = 0;
	ssize_t got;

	while ((got = read(fd, data, sizeof(data))) > 0)
		bytes += got;
	check(got < 0, "read");
	return bytes;
}

static long transfer(const char *control, long bytes)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int listener = make_socket(control), receiver, status;
	pid_t child;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	check(bind(listener, (void *)&address, len) || listen(listener, 1), "listen");
	check(getsockname(listener, (void *)&address, &len), "getsockname");
	child = fork();
	check(child < 0, "fork");
	if (!child) {
		int sender = make_socket(control);

		check(connect(sender, (void *)&address, len), "connect");
		send_all(sender, bytes);
		_exit(0);
	}
	receiver = accept(listener, NULL, NULL);
	check(receiver < 0, "accept");
	bytes = receive_all(receiver);
	check(waitpid(child, &status, 0) != child || status, "sender");
	return bytes;
}

static void print_counters(const struct bpf_object *object)
{
	const struct bpf_map *bss = bpf_object__find_map_by_name(object, ".bss");
	size_t size;
	const struct {
		__u64 connections;
		__u64 acks;
		__u64 last_gain;
	} *counters = bss ? bpf_map__initial_value((struct bpf_map *)bss, &size) : NULL;

	if (counters && size >= sizeof(*counters))
		printf("connections %llu, acks %llu, last gain %llu\n", counters->connections,
		       counters->acks, counters->last_gain);
}

int main(int argc, char **argv)
{
	struct bpf_object *object = NULL;
	const char *control = argc == 3 ? argv[1] : "";
	struct bpf_link *link = NULL;
	long bytes;

	if (argc != 3) {
		fprintf(stderr, "usage: transfer steady|eager.bpf.o BYTES\n");
		return 1;
	}
	if (strstr(control, ".o")) {
		object = bpf_object__open_file(control, NULL);
		check(!object, control);
		check(bpf_object__load(object), "load");
		control = "eager";
		link = bpf_map__attach_struct_ops(bpf_object__find_map_by_name(object, control));
		check(!link, "attach");
	}
	bytes = transfer(control, atol(argv[2]));
	printf("%s: %ld bytes\n", control, bytes);
	if (object)
		print_counters(object);
	bpf_link__destroy(link);
	bpf_object__close(object);
	return bytes != atol(argv[2]);
}
