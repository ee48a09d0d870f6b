// CUDA's __half, by the compiler's own type.
struct __half {
    _Float16 number;
    __half(float x) : number(_Float16(x)) {}
    operator float() const { return float(number); }
};
