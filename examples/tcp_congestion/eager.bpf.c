// SPDX-License-Identifier: GPL-2.0-only
/*
 * A congestion control made of steady's kfuncs: on long paths, the window grows faster.
 *
 * Only the used members of the kernel's structs are declared; libbpf finds them by name.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define KERNEL __attribute__((preserve_access_index))
#define LONG_WAY_US 20000

struct sock {
	int sk_err;
} KERNEL;

struct tcp_sock {
	__u32 srtt_us; /* in eighths of a microsecond */
	__u32 snd_cwnd;
	__u32 prior_cwnd;
} KERNEL;

struct tcp_congestion_ops {
	void (*init)(struct sock *sk);
	__u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	__u32 (*undo_cwnd)(struct sock *sk);
	char name[16];
};

extern void steady_init(struct sock *sk) __ksym;
extern __u32 steady_ssthresh(struct sock *sk) __ksym;
extern void steady_cong_avoid(struct sock *sk, __u32 ack, __u32 acked) __ksym;
extern __u32 steady_gain(struct sock *sk) __ksym;
extern __u32 steady_set_gain(struct sock *sk, __u32 gain) __ksym;
/* Newer versions of the module may have it. */
extern void steady_pace(struct sock *sk, __u32 gain) __ksym __weak;

/* Shown by transfer.c. */
struct {
	__u64 connections;
	__u64 acks;
	__u64 last_gain;
} counters;

SEC("struct_ops/eager_init")
void BPF_PROG(eager_init, struct sock *sk)
{
	__sync_fetch_and_add(&counters.connections, 1);
	steady_init(sk);
}

SEC("struct_ops/eager_ssthresh")
__u32 BPF_PROG(eager_ssthresh, struct sock *sk)
{
	return steady_ssthresh(sk);
}

SEC("struct_ops/eager_cong_avoid")
void BPF_PROG(eager_cong_avoid, struct sock *sk, __u32 ack, __u32 acked)
{
	const struct tcp_sock *tp = (const struct tcp_sock *)sk;
	__u32 gain = tp->srtt_us >> 3 > LONG_WAY_US ? 8 : 2;

	if (steady_gain(sk) != gain)
		counters.last_gain = steady_set_gain(sk, gain);
	if (steady_pace)
		steady_pace(sk, gain);
	steady_cong_avoid(sk, ack, acked);
	__sync_fetch_and_add(&counters.acks, 1);
}

SEC("struct_ops/eager_undo_cwnd")
__u32 BPF_PROG(eager_undo_cwnd, struct sock *sk)
{
	const struct tcp_sock *tp = (const struct tcp_sock *)sk;

	return tp->snd_cwnd > tp->prior_cwnd ? tp->snd_cwnd : tp->prior_cwnd;
}

SEC(".struct_ops")
struct tcp_congestion_ops eager = {
	.init = (void *)eager_init,
	.ssthresh = (void *)eager_ssthresh,
	.cong_avoid = (void *)eager_cong_avoid,
	.undo_cwnd = (void *)eager_undo_cwnd,
	.name = "eager",
};

char LICENSE[] SEC("license") = "GPL";
