#include "array/mask.h"

#include <string>

#include "array/copy.h"
#include "array/split.h"
#include "simd/kernels.h"

namespace spanflow::array {

using base::Kind;
using base::Result;
using base::Status;

void Mask::Count(const RunOptions& options) {
  const int64_t chunks = (size_ + kChunk - 1) / kChunk;
  before_.assign(static_cast<size_t>(chunks) + 1, 0);
  const auto body = [this](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const int64_t first = c * kChunk, n = std::min(size_ - first, kChunk);
      before_[static_cast<size_t>(c) + 1] =
          static_cast<int64_t>(simd::CountTrue(bytes() + first, static_cast<size_t>(n)));
    }
  };
  runtime::ParallelFor(chunks, kChunkBytes / kChunk, body, options.threads);
  for (size_t c = 1; c < before_.size(); ++c) before_[c] += before_[c - 1];
}

Result<Mask> Mask::Make(const View& mask, const View& view, const RunOptions& options) {
  if (mask.dtype().kind() != Kind::kBool) {
    return Status::Index("a mask has dtype bool, " + mask.dtype().ToString() + " was given");
  }
  if (mask.ndim() > view.ndim()) {
    return Status::Index("too many indices for array: array is " + std::to_string(view.ndim()) +
                         "-dimensional, but " + std::to_string(mask.ndim()) + " were indexed");
  }
  for (int i = 0; i < mask.ndim(); ++i) {
    if (mask.layout.shape[i] == view.layout.shape[i]) continue;
    return Status::Index(
        "boolean index did not match indexed array along axis " + std::to_string(i) +
        "; size of axis is " + std::to_string(view.layout.shape[i]) +
        " but size of corresponding boolean axis is " + std::to_string(mask.layout.shape[i]));
  }
  return MakeNonzero(mask, options);
}

Result<Mask> Mask::MakeNonzero(const View& view, const RunOptions& options) {
  View flat = view;
  if (view.dtype().kind() != Kind::kBool || !view.layout.c_contiguous()) {
    SPANFLOW_ASSIGN(flat, CopyToNew(view, base::DType(Kind::kBool), false, options));
  }
  Mask result(std::move(flat));
  result.Count(options);
  return result;
}

}  // namespace spanflow::array
