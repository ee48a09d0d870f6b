// Just enough of CUDA to run kernels on the host.
//
// A warp's 32 threads are coroutines. One runs until it shuffles; then the next one has its turn, so
// when the first goes on, all have given their numbers. Each walks through all blocks by itself, as
// kernels without shared memory let it. Two threads that meet at different shuffles are a failure.

#include <cmath>
#include <cstdio>
#include <functional>
#include <ucontext.h>
#include <vector>

#define __global__
#define __device__ static

struct Three {
    int x, y, z;
};

static thread_local Three threadIdx, blockIdx, blockDim;

struct Shuffle {
    float number;
    Three thread, block;
    long count = -1;
};

struct Warp {
    std::function<void()> kernel;
    int grid, lane = 0;
    bool ended[32] = {}, failed = false;
    long count[32] = {};
    Shuffle shuffles[2][32] = {};
    ucontext_t caller, lanes[32];
    std::vector<char> stacks = std::vector<char>(32 << 16);

    void next() {
        int from = lane;
        for (int step = 1; step <= 32; step++) {
            lane = (from + step) % 32;
            if (!ended[lane]) break;
        }
        ucontext_t *before = &lanes[from], *after = ended[lane] ? &caller : &lanes[lane];
        if (before != after) swapcontext(before, after);
    }
};

static thread_local Warp *warp;

static unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
    return (unsigned __int128)x * y >> 64;
}

static void walk() {
    int lane = warp->lane;
    for (int block = 0; block < warp->grid; block++)
        for (int y = 0; y < blockDim.y; y++)
            for (int x = lane; x < blockDim.x; x += 32) {
                blockIdx = {block, 0, 0};
                threadIdx = {x, y, 0};
                warp->kernel();
            }
    warp->ended[lane] = true;
    warp->next();
}

static float __shfl_xor_sync(unsigned mask, float number, int step) {
    int lane = warp->lane;
    Shuffle *all = warp->shuffles[warp->count[lane] % 2];
    Shuffle mine = {number, threadIdx, blockIdx, warp->count[lane]++};
    all[lane] = mine;
    warp->next();
    threadIdx = mine.thread, blockIdx = mine.block;
    Shuffle other = all[lane ^ step];
    if (mask != 0xffffffff || other.count != mine.count || other.block.x != mine.block.x ||
        other.thread.y != mine.thread.y || other.thread.x / 32 != mine.thread.x / 32)
        warp->failed = true;
    return other.number;
}

// Run a kernel; false if its threads went different ways.
static bool run(int grid, int block_x, int block_y, std::function<void()> kernel) {
    Warp here;
    here.kernel = kernel, here.grid = grid;
    warp = &here, blockDim = {block_x, block_y, 1};
    for (int lane = 0; lane < 32; lane++) {
        getcontext(&here.lanes[lane]);
        here.lanes[lane].uc_stack.ss_sp = &here.stacks[lane << 16];
        here.lanes[lane].uc_stack.ss_size = 1 << 16;
        here.lanes[lane].uc_link = &here.caller;
        makecontext(&here.lanes[lane], walk, 0);
    }
    swapcontext(&here.caller, &here.lanes[0]);
    return !here.failed;
}
