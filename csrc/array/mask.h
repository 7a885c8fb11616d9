// A boolean mask as contiguous bytes, cut into chunks with the number of true values before each:
// what lets threads write their part of a selection without waiting for one another.
//
// Owns: the contiguous copy, where the given mask is not contiguous, and the counts.
// Threads: thread-compatible; immutable once made. Attached: not needed.
// Fails: IndexError when the mask is not bool or does not have the array's leading shape.
#pragma once

#include <cstdint>
#include <vector>

#include "array/run.h"
#include "array/view.h"
#include "base/status.h"

namespace spanflow::array {

class Mask {
 public:
  static constexpr int64_t kChunk = int64_t{1} << 16;  // elements

  // `view` is what the mask will select from.
  static base::Result<Mask> Make(const View& mask, const View& view, const RunOptions& options);
  // The non-zero elements of any numeric array.
  static base::Result<Mask> MakeNonzero(const View& view, const RunOptions& options);

  const uint8_t* bytes() const { return reinterpret_cast<const uint8_t*>(flat_.data); }
  int64_t size() const { return size_; }
  int64_t chunks() const { return static_cast<int64_t>(before_.size()) - 1; }
  int64_t chunk_end(int64_t chunk) const {
    return chunk + 1 == chunks() ? size_ : (chunk + 1) * kChunk;
  }
  int64_t before(int64_t chunk) const { return before_[static_cast<size_t>(chunk)]; }
  int64_t count_of(int64_t chunk) const { return before(chunk + 1) - before(chunk); }
  int64_t count() const { return before_.back(); }

 private:
  explicit Mask(View flat) : flat_(std::move(flat)), size_(flat_.size()) {}
  void Count(const RunOptions& options);

  View flat_;  // C order
  int64_t size_;
  std::vector<int64_t> before_;  // by chunk, and the total at the end
};

}  // namespace spanflow::array
