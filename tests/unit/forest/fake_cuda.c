/* The part of NVIDIA's driver that treeserve calls, with the host's memory as a GPU's. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef N_GPUS
#define N_GPUS 1
#endif

static int is_context_current, n_allocated;
static size_t most_bytes = SIZE_MAX;

int cuInit(unsigned flags) { return flags; }
int cuDeviceGetCount(int *count) { *count = N_GPUS; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = 7; return ordinal; }
int cuDeviceGetName(char *name, int n, int device) { strncpy(name, device == 7 ? "Fake GPU" : "?", n); return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = (void *)0x1234; return device != 7; }
int cuCtxSetCurrent(void *context) { is_context_current = context == (void *)0x1234; return !is_context_current; }
int cuCtxSynchronize(void) { return is_context_current ? 0 : 201; }
int cuGetErrorString(int status, const char **text) { *text = status == 2 ? "out of memory" : NULL; return 0; }

int cuMemAlloc_v2(uint64_t *place, size_t n) {
    if (!is_context_current) return 201;
    if (n > most_bytes) return 2;
    *place = (uint64_t)malloc(n);
    n_allocated++;
    return 0;
}
int cuMemFree_v2(uint64_t place) { free((void *)place); n_allocated--; return 0; }
int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t n) { memcpy((void *)to, from, n); return 0; }
int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t n) { memcpy(to, (void *)from, n); return 0; }

/* For tests alone. */
int fake_n_allocated(void) { return n_allocated; }
void fake_limit(size_t n) { most_bytes = n; }
