// SPDX-License-Identifier: GPL-2.0-only
/*
 * A TCP congestion control whose parts are kfuncs: BPF programs can build their own from them.
 *
 * The window grows by a number of segments per round trip, the gain, and shrinks by a quarter when
 * a segment is lost. A BPF program that implements struct tcp_congestion_ops can keep all of that
 * and choose the gain, which is stored with the connection.
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>
#include <net/tcp.h>

/* All pointer arguments are trusted since 7.0, and kernels no longer have the flag. */
#ifndef KF_TRUSTED_ARGS
#define KF_TRUSTED_ARGS 0
#endif

#define LOWEST_GAIN 1U
#define HIGHEST_GAIN 64U
#define LEAST_WINDOW 2U

/* Stored in the part of a connection that belongs to its congestion control. */
struct steady {
	u32 gain;
	u32 losses;
};

__bpf_kfunc_start_defs();

/* Each connection starts with this, whatever controls it. */
__bpf_kfunc void steady_init(struct sock *sk)
{
	struct steady *steady = inet_csk_ca(sk);

	steady->gain = LOWEST_GAIN;
	steady->losses = 0;
}

__bpf_kfunc u32 steady_ssthresh(struct sock *sk)
{
	struct steady *steady = inet_csk_ca(sk);
	u32 window = tcp_snd_cwnd(tcp_sk(sk));

	steady->losses++;
	return max(window - window / 4, LEAST_WINDOW);
}

__bpf_kfunc void steady_cong_avoid(struct sock *sk, u32 ack, u32 acked)
{
	struct steady *steady = inet_csk_ca(sk);
	struct tcp_sock *tp = tcp_sk(sk);

	if (!tcp_is_cwnd_limited(sk))
		return;
	if (tcp_in_slow_start(tp)) {
		acked = tcp_slow_start(tp, acked);
		if (!acked)
			return;
	}
	tcp_cong_avoid_ai(tp, max(tcp_snd_cwnd(tp) / max(steady->gain, LOWEST_GAIN), 1U), acked);
}

__bpf_kfunc u32 steady_gain(struct sock *sk)
{
	const struct steady *steady = inet_csk_ca(sk);

	return steady->gain;
}

/* Set the segments per round trip; returns the new value. */
__bpf_kfunc u32 steady_set_gain(struct sock *sk, u32 gain)
{
	struct steady *steady = inet_csk_ca(sk);

	steady->gain = clamp(gain, LOWEST_GAIN, HIGHEST_GAIN);
	return steady->gain;
}

__bpf_kfunc u32 steady_losses(struct sock *sk)
{
	const struct steady *steady = inet_csk_ca(sk);

	return steady->losses;
}

__bpf_kfunc_end_defs();

/* KF_TRUSTED_ARGS: only the socket that the kernel passes to the program, not one it found. */
BTF_KFUNCS_START(steady_ids)
BTF_ID_FLAGS(func, steady_init, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, steady_ssthresh, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, steady_cong_avoid, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, steady_gain, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, steady_set_gain, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, steady_losses, KF_TRUSTED_ARGS)
BTF_KFUNCS_END(steady_ids)

static const struct btf_kfunc_id_set steady_set = {
	.owner = THIS_MODULE,
	.set = &steady_ids,
};

static struct tcp_congestion_ops steady_ops __read_mostly = {
	.init = steady_init,
	.ssthresh = steady_ssthresh,
	.cong_avoid = steady_cong_avoid,
	.undo_cwnd = tcp_reno_undo_cwnd,
	.owner = THIS_MODULE,
	.name = "steady",
};

static int __init steady_module_init(void)
{
	int err;

	BUILD_BUG_ON(sizeof(struct steady) > ICSK_CA_PRIV_SIZE);
	err = register_btf_kfunc_id_set(BPF_PROG_TYPE_STRUCT_OPS, &steady_set);
	if (err)
		return err;
	return tcp_register_congestion_control(&steady_ops);
}

static void __exit steady_module_exit(void)
{
	tcp_unregister_congestion_control(&steady_ops);
}

module_init(steady_module_init);
module_exit(steady_module_exit);
MODULE_DESCRIPTION("TCP congestion control whose parts are kfuncs");
MODULE_LICENSE("GPL");
