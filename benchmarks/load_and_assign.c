/* The reference of load_and_assign.py: opens an object from memory, loads all of it into the kernel and closes it.
 * For every line with a number on its input it does so that many times, and prints the nanoseconds all of them took.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long long now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000LL + at.tv_nsec;
}

int main(int argc, char **argv)
{
	static char image[1 << 20];
	struct bpf_object *object;
	size_t size;
	long count;
	FILE *file;

	file = argc == 2 ? fopen(argv[1], "rb") : NULL;
	if (!file) {
		fprintf(stderr, "usage: load_and_assign OBJECT\n");
		return 1;
	}
	size = fread(image, 1, sizeof(image), file);
	fclose(file);

	while (scanf("%ld", &count) == 1) {
		long long start = now();

		for (long i = 0; i < count; i++) {
			object = bpf_object__open_mem(image, size, NULL);
			if (!object || bpf_object__load(object)) {
				fprintf(stderr, "cannot load %s: %s\n", argv[1], strerror(errno));
				return 1;
			}
			bpf_object__close(object);
		}
		printf("%lld\n", now() - start);
		fflush(stdout);
	}
	return 0;
}
