/* A program for each way to attach: count_<kind> counts in n_<kind>. raw_tp and tp count target_pid's calls only. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 target_pid = 0;

__u64 n_raw_tp;
__u64 n_tp;
__u64 n_fentry;
__u64 n_xdp;
__u64 n_xdp_off;
__u64 n_socket;
__u64 n_cgroup_skb;
__u64 n_tc;
__u64 n_perf_event;
__u64 n_iter;
__u64 n_kprobe;
__u64 n_grow;
__u64 n_mangle;

#define count(variable) __sync_fetch_and_add(&variable, 1)

SEC("raw_tp/sys_enter")
int count_raw_tp(void *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 == target_pid)
		count(n_raw_tp);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int count_tp(void *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 == target_pid)
		count(n_tp);
	return 0;
}

/* The kernel calls bpf_fentry_test1 in every test run of an fentry program. */
SEC("fentry/bpf_fentry_test1")
int count_fentry(void *ctx)
{
	count(n_fentry);
	return 0;
}

SEC("xdp")
int count_xdp(struct xdp_md *ctx)
{
	count(n_xdp);
	return XDP_PASS;
}

/* Not loaded unless asked for. */
SEC("?xdp")
int count_xdp_off(struct xdp_md *ctx)
{
	count(n_xdp_off);
	return XDP_DROP;
}

SEC("socket")
int count_socket(struct __sk_buff *skb)
{
	count(n_socket);
	return skb->len;
}

SEC("cgroup_skb/egress")
int count_cgroup_skb(struct __sk_buff *skb)
{
	count(n_cgroup_skb);
	return 1;
}

SEC("tc")
int count_tc(struct __sk_buff *skb)
{
	count(n_tc);
	return 0; /* TC_ACT_OK */
}

SEC("perf_event")
int count_perf_event(void *ctx)
{
	count(n_perf_event);
	return 0;
}

SEC("iter/task")
int count_iter(void *ctx)
{
	count(n_iter);
	return 0;
}

SEC("kprobe/do_nanosleep")
int count_kprobe(void *ctx)
{
	count(n_kprobe);
	return 0;
}

/* Puts the 14 bytes 0xE0, 0xE1, ... 0xED before the packet: XDP_TX. */
SEC("xdp")
int grow(struct xdp_md *ctx)
{
	__u8 *data, *end;
	int i;

	if (bpf_xdp_adjust_head(ctx, -14))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + 14 > end)
		return XDP_ABORTED;
	for (i = 0; i < 14; i++)
		data[i] = 0xE0 + i;
	count(n_grow);
	return XDP_TX;
}

/* Inverts the first byte, sets the second to 0xAA and swaps the next two: XDP_PASS; XDP_DROP under 4 bytes. */
SEC("xdp")
int mangle(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, kept;

	if (data + 4 > end)
		return XDP_DROP;
	data[0] = ~data[0];
	data[1] = 0xAA;
	kept = data[2];
	data[2] = data[3];
	data[3] = kept;
	count(n_mangle);
	return XDP_PASS;
}
