/* A small libnvidia-ml.so.1: two cards, the second of which supports next to nothing.
 *
 * Built by test_gpu_sampler.py, so that the real pynvml loads it as it would load the driver's library. FAKE_NVML_PIDS
 * in the environment names the processes that run on card 0.
 */
#include <stdlib.h>
#include <string.h>

typedef int nvmlReturn_t;
typedef struct { int index; } *nvmlDevice_t;
typedef struct { unsigned int gpu, memory; } nvmlUtilization_t;
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
typedef struct {
    unsigned int pid;
    unsigned long long usedGpuMemory;
    unsigned int gpuInstanceId, computeInstanceId;
} nvmlProcessInfo_t;

enum { SUCCESS = 0, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7 };

static struct { int index; } cards[2] = {{0}, {1}};
static int is_first(nvmlDevice_t device) { return device->index == 0; }

nvmlReturn_t nvmlInitWithFlags(unsigned int flags) { (void)flags; return SUCCESS; }
nvmlReturn_t nvmlInit_v2(void) { return SUCCESS; }
nvmlReturn_t nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(nvmlReturn_t code) { return code == NOT_SUPPORTED ? "Not Supported" : "Error"; }
nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return SUCCESS; }
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    *device = (nvmlDevice_t)&cards[index];
    return SUCCESS;
}

#define NUMBER(name, value)                                              \
    nvmlReturn_t name(nvmlDevice_t device, unsigned int *out)            \
    {                                                                    \
        if (!is_first(device)) return NOT_SUPPORTED;                     \
        *out = (value);                                                  \
        return SUCCESS;                                                  \
    }

NUMBER(nvmlDeviceGetPowerUsage, 123456)
NUMBER(nvmlDeviceGetEnforcedPowerLimit, 700000)
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, 5)
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, 6)
NUMBER(nvmlDeviceGetPcieSpeed, 32000)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, 8)
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, 16)

/* As on a card with passive cooling. */
nvmlReturn_t nvmlDeviceGetFanSpeed(nvmlDevice_t device, unsigned int *out)
{
    (void)device, (void)out;
    return NOT_SUPPORTED;
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, int sensor, unsigned int *out)
{
    (void)sensor;
    *out = 40 + device->index;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, int kind, unsigned int *out)
{
    if (!is_first(device)) return NOT_SUPPORTED;
    *out = 1000 + kind; /* graphics 0, SM 1, memory 2 */
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, int kind, int counter, unsigned long long *out)
{
    (void)counter;
    if (!is_first(device)) return NOT_SUPPORTED;
    *out = kind == 0 ? 11 : 2;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetEncoderUtilization(nvmlDevice_t device, unsigned int *percent, unsigned int *period)
{
    if (!is_first(device)) return NOT_SUPPORTED;
    *percent = 7;
    *period = 1000;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *out)
{
    if (!is_first(device)) return NOT_SUPPORTED;
    out->gpu = 91;
    out->memory = 42;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *out)
{
    if (!is_first(device)) return NOT_SUPPORTED;
    out->total = 1000000;
    out->used = 250000;
    out->free = 750000;
    return SUCCESS;
}

static nvmlReturn_t processes(nvmlDevice_t device, unsigned int *count, nvmlProcessInfo_t *infos, int listed)
{
    const char *pid = getenv("FAKE_NVML_PIDS");
    unsigned int found = listed && pid && *pid && is_first(device) ? 1 : 0;
    if (!is_first(device)) return NOT_SUPPORTED;
    if (*count < found) {
        *count = found;
        return INSUFFICIENT_SIZE;
    }
    *count = found;
    if (found) {
        memset(infos, 0, sizeof *infos);
        infos[0].pid = (unsigned int)strtoul(pid, NULL, 10);
    }
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t d, unsigned int *n, nvmlProcessInfo_t *p)
{
    return processes(d, n, p, 1);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t d, unsigned int *n, nvmlProcessInfo_t *p)
{
    return processes(d, n, p, 0);
}
