/* What a program refers to, directly or through the functions in .text that it calls:
 *   direct        a
 *   via_static    m1, b   static function
 *   via_global    m2      global function that calls another one
 *   via_callback  m3      callback of bpf_loop
 *   lonely        nothing
 * and m4 and c, which nothing refers to. a, b and c lie in a section each.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

#define __noinline __attribute__((noinline))

struct array {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
};

struct array m1 SEC(".maps");
struct array m2 SEC(".maps");
struct array m3 SEC(".maps");
struct array m4 SEC(".maps");

__u64 a;
__u64 b = 1;
__u64 c SEC(".data.c") = 2;

static __noinline int add_m1(__u32 amount)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&m1, &key);

	b += amount;
	if (value)
		*value += amount;
	return amount;
}

__noinline int add_m2(__u32 amount)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&m2, &key);

	if (value)
		*value += amount;
	return amount;
}

__noinline int add_m2_twice(__u32 amount)
{
	return add_m2(amount) + add_m2(amount + 1);
}

static long add_m3(__u32 index, void *ctx)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&m3, &key);

	if (value)
		*value += index;
	return 0;
}

/* a += 1 */
SEC("xdp")
int direct(struct xdp_md *ctx)
{
	a += 1;
	return XDP_PASS;
}

/* m1[0] and b += length of the packet */
SEC("xdp")
int via_static(struct xdp_md *ctx)
{
	return add_m1(ctx->data_end - ctx->data) ? XDP_PASS : XDP_DROP;
}

/* m2[0] += 2 * length + 1 */
SEC("xdp")
int via_global(struct xdp_md *ctx)
{
	return add_m2_twice(ctx->data_end - ctx->data) ? XDP_PASS : XDP_DROP;
}

/* m3[0] += 0 + 1 + ... + 9 */
SEC("xdp")
int via_callback(struct xdp_md *ctx)
{
	bpf_loop(10, add_m3, 0, 0);
	return XDP_PASS;
}

SEC("xdp")
int lonely(struct xdp_md *ctx)
{
	return XDP_TX;
}
