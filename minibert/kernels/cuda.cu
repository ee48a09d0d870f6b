// Kernels of the cuda_*.py files for all but the products. Knows nothing of BERT.
//
// Arrays hold `real`, float or, with -DHALF, __half; all arithmetic is in float. A kernel has either a
// block of threads for each row, or a warp for each row: 32 threads, which add up their numbers by
// shuffles. So there is no shared memory and no barrier. A stride is the distance from one row to the
// next, in numbers. Optional arrays are null if not given.

#ifdef HALF
#include <cuda_fp16.h>
typedef __half real;
#else
typedef float real;
#endif

// The sum or the largest of a warp's 32 numbers, in all of its threads.
__device__ float sum_of_warp(float x) {
    for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffff, x, step);
    return x;
}

__device__ float largest_of_warp(float x) {
    for (int step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffff, x, step));
    return x;
}

__device__ float gelu_tanh_inner(float y) { return 0.79788456f * y * (1.0f + 0.044715f * y * y); }

// x = formula of y, where y = x + bias. One block per row. Comparisons are written so that NaN stays.
#define ACTIVATION(name, formula)                                                               \
    __device__ float name##_of(float y, float a, float b) { return formula; }                   \
    extern "C" __global__ void name(real* x, const real* bias, int columns, float a, float b) { \
        x += (long long)blockIdx.x * columns;                                                   \
        for (int column = threadIdx.x; column < columns; column += blockDim.x) {                \
            float y = float(x[column]) + (bias ? float(bias[column]) : 0.0f);                   \
            x[column] = real(name##_of(y, a, b));                                               \
        }                                                                                       \
    }

ACTIVATION(add, y)
ACTIVATION(gelu, 0.5f * y * (1.0f + erff(0.70710678f * y)))
ACTIVATION(gelu_tanh, 0.5f * y * (1.0f + tanhf(gelu_tanh_inner(y))))
ACTIVATION(relu, y < 0.0f ? 0.0f : y)
ACTIVATION(leaky_relu, y < 0.0f ? a * y : y)
ACTIVATION(clip, y < a ? a : y > b ? b : y)
ACTIVATION(sigmoid, 1.0f / (1.0f + expf(-y)))
ACTIVATION(silu, 0.5f * y * (1.0f + tanhf(0.5f * a * y)))
ACTIVATION(elu, y > 0.0f ? y : expm1f(y))
ACTIVATION(softplus, fmaxf(y, 0.0f) + log1pf(expf(-fabsf(y))))
ACTIVATION(mish, y * tanhf(softplus_of(y, 0.0f, 0.0f)))
ACTIVATION(hyperbolic_tangent, tanhf(y))

// g + y g', where g' = g (1 - g) slope and g is a gate; 0 times an infinite slope would be NaN.
__device__ float gated(float y, float g, float slope) { return g + y * g * (1.0f - g) * slope; }

// The derivative of y g, where g = tanh(softplus(y)).
__device__ float mish_slope(float y, float g) {
    return g + y * (1.0f - g * g) * sigmoid_of(y, 0.0f, 0.0f);
}

// x = z, the activation of y = x, and the gradient by z, times dz/dy, becomes that by y. One block per
// row. Formulas and kinks are those of activation_gradients.py.
#define GRADIENT(name, derivative)                                                              \
    extern "C" __global__ void name##_gradient(real* x, real* gradient, int columns, float a,   \
                                               float b) {                                       \
        x += (long long)blockIdx.x * columns;                                                   \
        gradient += (long long)blockIdx.x * columns;                                            \
        for (int column = threadIdx.x; column < columns; column += blockDim.x) {                \
            float y = float(x[column]), z = name##_of(y, a, b);                                 \
            x[column] = real(z);                                                                \
            gradient[column] = real(float(gradient[column]) * (derivative));                    \
        }                                                                                       \
    }

GRADIENT(gelu, 0.5f * erfcf(-0.70710678f * y) + y * (0.39894228f * expf(-0.5f * y * y)))
GRADIENT(gelu_tanh, gated(y, sigmoid_of(2.0f * gelu_tanh_inner(y), 0.0f, 0.0f),
                          1.5957691f + 0.21406366f * fminf(y * y, 1e4f)))
GRADIENT(relu, y > 0.0f ? 1.0f : 0.0f)
GRADIENT(leaky_relu, y > 0.0f ? 1.0f : a)
GRADIENT(clip, y > a && y < b ? 1.0f : 0.0f)
GRADIENT(sigmoid, z * (1.0f - z))
GRADIENT(silu, gated(y, sigmoid_of(a * y, 0.0f, 0.0f), a))
GRADIENT(elu, y > 0.0f ? 1.0f : expf(y))
GRADIENT(softplus, sigmoid_of(y, 0.0f, 0.0f))
GRADIENT(mish, mish_slope(y, tanhf(softplus_of(y, 0.0f, 0.0f))))
GRADIENT(hyperbolic_tangent, 1.0f - z * z)

__device__ float total(const real* x, const real* bias, const real* before, int column) {
    return float(x[column]) + (bias ? float(bias[column]) : 0.0f) +
           (before ? float(before[column]) : 0.0f);
}

// Mean of a row of x + bias + before; returns its deviation, the root of variance + epsilon.
__device__ float mean_and_deviation(const real* x, const real* bias, const real* before,
                                    float epsilon, int columns, float* mean) {
    float sum = 0.0f;
    for (int column = threadIdx.x; column < columns; column += 32)
        sum += total(x, bias, before, column);
    *mean = sum_of_warp(sum) / columns;
    float squares = 0.0f;
    for (int column = threadIdx.x; column < columns; column += 32) {
        float y = total(x, bias, before, column) - *mean;
        squares += y * y;
    }
    return sqrtf(sum_of_warp(squares) / columns + epsilon);
}

// x + bias + before, then mean 0 and variance 1 in each row, then gain and shift. One warp per row.
extern "C" __global__ void normalise(real* x, long long stride, const real* bias,
                                     const real* before, const real* gain, const real* shift,
                                     float epsilon, int rows, int columns) {
    int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    x += row * stride;
    if (before) before += (long long)row * columns;
    float mean;
    float scale = 1.0f / mean_and_deviation(x, bias, before, epsilon, columns, &mean);
    for (int column = threadIdx.x; column < columns; column += 32) {
        float y = (total(x, bias, before, column) - mean) * scale;
        x[column] = real(y * float(gain[column]) + float(shift[column]));
    }
}

// Mean 0 and variance 1 in each row, and the deviations from before. One warp per row.
extern "C" __global__ void standardise(real* x, long long stride, real* deviations, float epsilon,
                                       int rows, int columns) {
    int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    x += row * stride;
    float mean;
    float deviation = mean_and_deviation(x, nullptr, nullptr, epsilon, columns, &mean);
    for (int column = threadIdx.x; column < columns; column += 32)
        x[column] = real((float(x[column]) - mean) / deviation);
    if (threadIdx.x == 0) deviations[row] = real(deviation);
}

// exp(x) / sum(exp(x)) over the first columns of a row, as many as its text has tokens; 0 in the
// others. One warp per row.
extern "C" __global__ void softmax(real* x, const int* lengths, int rows, int columns,
                                   int rows_of_a_text) {
    int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    x += (long long)row * columns;
    int length = lengths ? lengths[row / rows_of_a_text] : columns;
    float largest = float(x[0]);
    for (int column = threadIdx.x; column < length; column += 32)
        largest = fmaxf(largest, float(x[column]));
    largest = largest_of_warp(largest);
    float sum = 0.0f;
    for (int column = threadIdx.x; column < length; column += 32)
        sum += expf(float(x[column]) - largest);
    sum = sum_of_warp(sum);
    for (int column = threadIdx.x; column < columns; column += 32)
        x[column] = real(column < length ? expf(float(x[column]) - largest) / sum : 0.0f);
}

// Number of the row of a text's token, among rows that lie end to end.
__device__ long long row_of(const int* starts, int text, int place, int longest) {
    return (starts ? starts[text] : text * longest) + place;
}

// Rows of S texts -> (S, heads, longest, head_dim), with zeros after a text's end. One block per token.
extern "C" __global__ void split_heads(const real* x, long long stride, const int* starts,
                                       const int* lengths, real* y, int heads, int longest,
                                       int head_dim) {
    int text = blockIdx.x / longest, place = blockIdx.x % longest;
    bool is_token = !lengths || place < lengths[text];
    x += row_of(starts, text, place, longest) * stride;
    for (int column = threadIdx.x; column < heads * head_dim; column += blockDim.x) {
        long long head = (long long)text * heads + column / head_dim;
        y[(head * longest + place) * head_dim + column % head_dim] = is_token ? x[column] : real(0.0f);
    }
}

// The way back, from (S, heads, longest, head_dim) to rows.
extern "C" __global__ void join_heads(real* x, long long stride, const int* starts,
                                      const int* lengths, const real* y, int heads, int longest,
                                      int head_dim) {
    int text = blockIdx.x / longest, place = blockIdx.x % longest;
    if (lengths && place >= lengths[text]) return;
    x += row_of(starts, text, place, longest) * stride;
    for (int column = threadIdx.x; column < heads * head_dim; column += blockDim.x) {
        long long head = (long long)text * heads + column / head_dim;
        x[column] = y[(head * longest + place) * head_dim + column % head_dim];
    }
}

// The sum of each text's rows. One block per text.
extern "C" __global__ void segment_sum(const real* x, long long stride, const int* starts,
                                       const int* lengths, real* y, int columns) {
    x += starts[blockIdx.x] * stride;
    for (int column = threadIdx.x; column < columns; column += blockDim.x) {
        float sum = 0.0f;
        for (int row = 0; row < lengths[blockIdx.x]; row++) sum += float(x[row * stride + column]);
        y[(long long)blockIdx.x * columns + column] = real(sum);
    }
}

// The largest number of each column in each text. One block per text.
extern "C" __global__ void segment_max(const real* x, long long stride, const int* starts,
                                       const int* lengths, real* y, int columns) {
    x += starts[blockIdx.x] * stride;
    for (int column = threadIdx.x; column < columns; column += blockDim.x) {
        float largest = float(x[column]);
        for (int row = 1; row < lengths[blockIdx.x]; row++) {
            float other = float(x[row * stride + column]);
            if (other > largest || other != other) largest = other;  // a NaN is taken, and stays
        }
        y[(long long)blockIdx.x * columns + column] = real(largest);
    }
}

// Each row divided by its Euclidean length, or by `least` if that is more. One warp per row.
extern "C" __global__ void unit_length(real* x, long long stride, float least, int rows,
                                       int columns) {
    int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    x += row * stride;
    float squares = 0.0f;
    for (int column = threadIdx.x; column < columns; column += 32)
        squares += float(x[column]) * float(x[column]);
    float length = fmaxf(sqrtf(sum_of_warp(squares)), least);
    for (int column = threadIdx.x; column < columns; column += 32)
        x[column] = real(float(x[column]) / length);
}

// Of each head, the sum of the numbers whose pair is in a bucket: (heads, pairs) -> (buckets, heads).
// One warp per sum.
extern "C" __global__ void bucket_sums(const real* x, const int* buckets, real* sums, int pairs,
                                       int heads, int rows) {
    int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    x += (long long)(row % heads) * pairs;
    float sum = 0.0f;
    for (int pair = threadIdx.x; pair < pairs; pair += 32)
        if (buckets[pair] == row / heads) sum += float(x[pair]);
    sum = sum_of_warp(sum);
    if (threadIdx.x == 0) sums[row] = real(sum);
}

// Sums of squares, each of `columns` numbers of x, the last of fewer. One warp per sum.
extern "C" __global__ void square_sums(const real* x, long long count, real* sums, int rows,
                                       int columns) {
    int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    long long start = (long long)row * columns;
    float sum = 0.0f;
    for (int column = threadIdx.x; column < columns && start + column < count; column += 32)
        sum += float(x[start + column]) * float(x[start + column]);
    sum = sum_of_warp(sum);
    if (threadIdx.x == 0) sums[row] = real(sum);
}

// A step of Adam, as update_ of cpu_updates.py computes it; a gain is 1 minus the share that an
// average keeps. One block per `columns` numbers.
extern "C" __global__ void adam(real* value, const real* gradient, real* exp_avg, real* exp_avg_sq,
                                long long count, int columns, float share, float gain,
                                float square_share, float square_gain, float size, float eps,
                                float decay) {
    long long end = (blockIdx.x + 1ll) * columns;
    if (end > count) end = count;
    for (long long i = (long long)blockIdx.x * columns + threadIdx.x; i < end; i += blockDim.x) {
        float g = float(gradient[i]), x = float(value[i]);
        float average = float(exp_avg[i]) * share + g * gain;
        float squares = float(exp_avg_sq[i]) * square_share + g * g * square_gain;
        exp_avg[i] = real(average);
        exp_avg_sq[i] = real(squares);
        value[i] = real(x - (average / (sqrtf(squares) + eps) * size + x * decay));
    }
}

// Philox4x64-10, in place: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).
__device__ void philox(unsigned long long* x, unsigned long long key, unsigned long long other_key) {
    const unsigned long long FIRST = 0xD2E7470EE14C6C93ull, SECOND = 0xCA5A826395121157ull;
    for (int round = 0; round < 10; round++) {
        unsigned long long high = __umul64hi(FIRST, x[0]), low = FIRST * x[0];
        unsigned long long other_high = __umul64hi(SECOND, x[2]), other_low = SECOND * x[2];
        x[0] = other_high ^ x[1] ^ key;
        x[1] = other_low;
        x[2] = high ^ x[3] ^ other_key;
        x[3] = low;
        key += 0x9E3779B97F4A7C15ull;
        other_key += 0xBB67AE8584CAA73Bull;
    }
}

// Factors of dropout, for `count` numbers of a text from the `first`: 0 if the number drawn is below
// `threshold`, else `scale`. Philox gives 16 numbers for a counter; NumPy counts from 1. For a warp.
__device__ void draw(real* factors, long long first, int count, int text, long long seed,
                     long long step, int layer, int place, int threshold, float scale) {
    for (long long block = first / 16 + threadIdx.x; block * 16 < first + count; block += 32) {
        unsigned long long bits[4] = {block + 1ull, (unsigned long long)place,
                                      (unsigned long long)layer, (unsigned long long)text};
        philox(bits, seed, step);
        for (int number = 0; number < 16; number++) {
            long long column = block * 16 + number - first;
            int drawn = (int)(bits[number / 4] >> (number % 4 * 16) & 0xffff);
            if (column >= 0 && column < count)
                factors[column] = real(drawn < threshold ? 0.0f : scale);
        }
    }
}

// Factors for the rows of S texts, which lie end to end. One warp per place in a text.
extern "C" __global__ void draw_rows(real* factors, const int* texts, const int* starts,
                                     const int* lengths, int rows, int longest, int columns,
                                     long long seed, long long step, int layer, int place,
                                     int threshold, float scale) {
    int row = blockIdx.x * blockDim.y + threadIdx.y, text = row / longest, token = row % longest;
    if (row >= rows || token >= lengths[text]) return;
    factors += (long long)(starts[text] + token) * columns;
    draw(factors, (long long)token * columns, columns, texts[text], seed, step, layer, place,
         threshold, scale);
}

// Factors for attention weights, (S, heads, longest, longest), 0 beyond a text's end. One warp per row.
extern "C" __global__ void draw_weights(real* factors, const int* texts, const int* lengths,
                                        int rows, int longest, int heads, long long seed,
                                        long long step, int layer, int place, int threshold,
                                        float scale) {
    int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    int text = row / longest / heads, head = row / longest % heads, token = row % longest;
    int length = lengths ? lengths[text] : longest, count = token < length ? length : 0;
    factors += (long long)row * longest;
    draw(factors, ((long long)head * length + token) * length, count, texts[text], seed, step, layer,
         place, threshold, scale);
    for (int column = count + threadIdx.x; column < longest; column += 32) factors[column] = real(0.0f);
}
