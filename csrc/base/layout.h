// Layout: dtype, shape and strides of a view, and the pure arithmetic of views over it.
//
// Owns: its dimensions (inline up to six of them) and its dtype by value.
// Threads: thread-compatible value; nothing changes a Layout once an array holds it.
// Attached: not needed.
// Fails: Status when a shape is negative, does not fit, or does not match.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>

#include "base/dtype.h"
#include "base/status.h"

namespace spanflow::base {

// Up to kMaxDims integers: inline up to kInline of them, which nearly every array keeps to, so that
// an array object stays small and copying a layout allocates nothing.
class Dims {
 public:
  static constexpr int kInline = 6;

  Dims() = default;
  Dims(std::initializer_list<int64_t> values) : Dims(std::span(values.begin(), values.size())) {}
  explicit Dims(std::span<const int64_t> values) {
    resize(static_cast<int>(std::min<size_t>(values.size(), kMaxDims + 1)));
    std::copy(values.begin(), values.end(), data_);
  }
  Dims(int size, int64_t value) {
    resize(size);
    std::fill_n(data_, size, value);
  }
  Dims(const Dims& other) { CopyFrom(other); }
  Dims& operator=(const Dims& other) {
    if (this != &other) CopyFrom(other);
    return *this;
  }
  ~Dims() {
    if (data_ != inline_.data()) delete[] data_;
  }

  int size() const { return size_; }
  bool empty() const { return size_ == 0; }
  int64_t* begin() { return data_; }
  int64_t* end() { return data_ + size_; }
  const int64_t* begin() const { return data_; }
  const int64_t* end() const { return data_ + size_; }
  const int64_t* data() const { return data_; }
  int64_t* data() { return data_; }
  int64_t& operator[](int i) { return data_[i]; }
  int64_t operator[](int i) const { return data_[i]; }
  void push_back(int64_t value) {
    resize(size_ + 1);
    data_[size_ - 1] = value;
  }
  // Values up to the smaller size are kept, new ones are not set. Callers compare with kMaxDims
  // first; one that forgot ends here and not behind the end of the memory.
  void resize(int size) {
    if (size < 0 || size > kMaxDims) throw std::length_error("more than 64 dimensions");
    if (size > kInline && data_ == inline_.data()) {
      data_ = new int64_t[kMaxDims];
      std::copy_n(inline_.data(), size_, data_);
    }
    size_ = size;
  }
  bool operator==(const Dims& other) const {
    return size_ == other.size_ && std::equal(begin(), end(), other.begin());
  }

 private:
  void CopyFrom(const Dims& other) {
    if (data_ == inline_.data() && other.data_ == other.inline_.data()) {
      inline_ = other.inline_;  // all of it: a fixed size is a few moves, a loop would be a call
      size_ = other.size_;
      return;
    }
    resize(other.size_);
    std::copy_n(other.data_, size_, data_);
  }

  std::array<int64_t, kInline> inline_{};
  int64_t* data_ = inline_.data();
  int size_ = 0;
};

std::string ToString(const Dims& shape);  // "(2, 3)", "(4,)", "()"

struct Layout {
  DType dtype;
  Dims shape;
  Dims strides;  // bytes, may be negative or zero

  int ndim() const { return shape.size(); }
  int64_t size() const;  // elements
  int64_t nbytes() const { return size() * dtype.itemsize(); }
  bool c_contiguous() const;  // dimensions of size <= 1 are ignored; empty arrays are contiguous
  bool f_contiguous() const;
  // Contiguous in Fortran order and in no other: what copies that keep the order look at.
  bool is_fortran() const { return f_contiguous() && !c_contiguous(); }

  // C-order strides for a checked shape.
  static Result<Layout> Contiguous(DType dtype, const Dims& shape);
  static Result<Layout> FortranContiguous(DType dtype, const Dims& shape);
};

// Product of the shape times itemsize; refuses negative sizes and anything above int64. Items and
// dimensions of size 0 count as 1 there, so that no product of some of them can overflow either.
Result<int64_t> CheckedBytes(const Dims& shape, int64_t itemsize);

// NumPy's C strides, also for zero-size shapes (where a 0 counts as 1).
Dims ContiguousStrides(const Dims& shape, int64_t itemsize);
Dims FortranStrides(const Dims& shape, int64_t itemsize);

// The lowest and one past the highest byte that the view touches, relative to element [0,…,0].
struct Extent {
  int64_t low;
  int64_t high;
};
Result<Extent> ExtentOf(const Layout& layout);

// The shape that several shapes broadcast to, or a ValueError that names them.
Result<Dims> BroadcastShapes(std::span<const Dims* const> shapes);

// Strides of `from` seen with `shape` (same rank rules as NumPy); refuses what does not broadcast.
Result<Layout> BroadcastTo(const Layout& from, const Dims& shape);

// Reshape without a copy: strides for `shape`, or Code::kBuffer when only a copy can do it.
// One dimension may be -1. Wrong sizes are a ValueError.
Result<Layout> Reshape(const Layout& from, const Dims& shape);
Result<Dims> ResolveShape(const Dims& shape, int64_t size);  // replaces a -1

Layout Transpose(const Layout& from, const Dims& axes);

// Axis in [-ndim, ndim) to [0, ndim); IndexError-like ValueError otherwise (NumPy's AxisError
// text).
Result<int> NormalizeAxis(int64_t axis, int ndim);

}  // namespace spanflow::base
