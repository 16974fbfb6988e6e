/* Programs that number what they hand over: into a ring buffer, a perf array, and out of a user ring buffer. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct event {
	__u64 number;
	__u32 kind;
	__u32 mark;
};

struct line {
	__u32 length;
	__u8 text[];
};

/* Each struct that only a cast mentions needs an anchor to stay in BTF. */
const struct event *unused_event;
const struct line *unused_line;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__type(value, struct event);
	__uint(max_entries, 4096);
} small SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} inbox SEC(".maps");

__u64 next_number = 0;
__u64 refused = 0;
__u64 received = 0;
__u64 total = 0;
__u32 count = 0;
__u32 odd_every = 0;

static long one(__u32 index, void *ring)
{
	struct event *event;

	/* Every so often something is reserved and thrown away. */
	if (odd_every && !(index % odd_every)) {
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
		if (event)
			bpf_ringbuf_discard(event, 0);
	}
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		refused++;
		return 0;
	}
	event->number = next_number++;
	event->kind = 1;
	event->mark = index;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

SEC("syscall")
int fill(void *ctx)
{
	bpf_loop(count, one, 0, 0);
	return 0;
}

SEC("syscall")
int fill_small(void *ctx)
{
	struct event event = { .number = next_number, .kind = 2 };

	if (bpf_ringbuf_output(&small, &event, sizeof(event), 0))
		refused++;
	else
		next_number++;
	return 0;
}

SEC("syscall")
int say(void *ctx)
{
	struct line *line = bpf_ringbuf_reserve(&events, sizeof(*line) + 5, 0);

	if (!line)
		return 1;
	line->length = 5;
	__builtin_memcpy(line->text, "hello", 5);
	bpf_ringbuf_submit(line, 0);
	return 0;
}

SEC("xdp")
int tell(struct xdp_md *ctx)
{
	struct event event = { .number = next_number, .kind = 3 };

	if (bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &event, sizeof(event)))
		refused++;
	next_number++;
	return XDP_PASS;
}

static long taken(struct bpf_dynptr *dynptr, void *ctx)
{
	struct event event;

	if (bpf_dynptr_read(&event, sizeof(event), dynptr, 0, 0))
		return 1;
	received++;
	total += event.number;
	return 0;
}

SEC("syscall")
int take(void *ctx)
{
	return bpf_user_ringbuf_drain(&inbox, taken, 0, 0) < 0;
}
