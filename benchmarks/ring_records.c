/* The reference of ring_records.py: records of a ring buffer, through ring_buffer__consume of libbpf.
 * Gets the object; reads lines "COUNT", has the program write so many records, and answers with the nanoseconds that reading
 * them took. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct event {
	uint64_t number;
	uint32_t kind, mark;
};

static uint64_t sum, seen;

static int take(void *ctx, void *data, size_t size)
{
	sum += ((struct event *)data)->number;
	seen++;
	return 0;
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

int main(int argc, char **argv)
{
	struct bpf_object *object = argc > 2 ? bpf_object__open_file(argv[1], NULL) : NULL;
	struct bpf_map *map, *inner;
	char line[64];

	if (!object)
		return 1;
	bpf_object__for_each_map(inner, object) {
		/* A ring that carries the type of its events is refused with the size of it. */
		if (bpf_map__type(inner) == BPF_MAP_TYPE_RINGBUF) {
			bpf_map__set_key_size(inner, 0);
			bpf_map__set_value_size(inner, 0);
		}
	}
	map = bpf_object__find_map_by_name(object, "events");
	bpf_map__set_max_entries(map, strtoul(argv[2], NULL, 0));
	if (bpf_object__load(object))
		return 1;
	struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(map), take, NULL, NULL);
	int fill = bpf_program__fd(bpf_object__find_program_by_name(object, "fill"));
	struct bpf_map *bss = bpf_object__find_map_by_name(object, ".bss");
	size_t size = bpf_map__value_size(bss);
	size_t at = strtoul(argv[3], NULL, 0);
	char *data = malloc(size);
	uint32_t zero = 0;

	while (fgets(line, sizeof(line), stdin)) {
		LIBBPF_OPTS(bpf_test_run_opts, opts);
		uint64_t start;

		if (bpf_map_lookup_elem(bpf_map__fd(bss), &zero, data))
			return 1;
		*(uint32_t *)(data + at) = strtoul(line, NULL, 0);
		bpf_map_update_elem(bpf_map__fd(bss), &zero, data, 0);
		if (bpf_prog_test_run_opts(fill, &opts))
			return 1;
		start = now();
		ring_buffer__consume(ring);
		printf("%llu\n", (unsigned long long)(now() - start));
		fflush(stdout);
	}
	return sum == 1 || !seen;
}
