/* The reference of map_access.py: lookups and dumps of a hash map, u32 to u64, over libbpf.
 * Reads lines "lookup COUNT" and "dump", and answers each with the nanoseconds that it took. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

int main(int argc, char **argv)
{
	uint32_t entries = argc > 1 ? strtoul(argv[1], NULL, 0) : 1024, cursor, count, done;
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "reference", 4, 8, entries, NULL), err;
	uint64_t sum = 0, value, start;
	char line[64];

	if (fd < 0)
		return 1;
	for (uint32_t key = 0; key < entries; key++) {
		value = key * 3ull;
		bpf_map_update_elem(fd, &key, &value, 0);
	}
	while (fgets(line, sizeof(line), stdin)) {
		if (!strncmp(line, "lookup ", 7)) {
			uint32_t times = strtoul(line + 7, NULL, 0);

			start = now();
			for (uint32_t i = 0; i < times; i++) {
				uint32_t key = i & 1023;

				if (bpf_map_lookup_elem(fd, &key, &value))
					return 1;
				sum += value;
			}
			printf("%llu\n", (unsigned long long)(now() - start));
		} else {
			start = now();
			uint32_t *keys = malloc(4ull * entries);
			uint64_t *values = malloc(8ull * entries);

			for (done = 0, err = 0; !err && done < entries; done += count) {
				count = entries - done;
				err = bpf_map_lookup_batch(fd, done ? &cursor : NULL, &cursor, keys + done, values + done, &count, NULL);
				if (err && err != -ENOENT)
					return 1;
			}
			printf("%llu\n", (unsigned long long)(now() - start));
			for (uint32_t i = 0; i < done; i++)
				sum += values[i] + keys[i];
			free(keys);
			free(values);
		}
		fflush(stdout);
	}
	return sum == 1;
}
