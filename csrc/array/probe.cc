#include "array/probe.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "array/assign.h"
#include "runtime/pool.h"
#include "simd/kernels.h"

namespace spanflow::array {
namespace {

using base::Result;
using base::Status;

constexpr int64_t kStep = 256;            // what a kernel takes at a time
constexpr int64_t kBlockBytes = 8 << 10;  // of the longest array, before it is another's turn
constexpr int64_t kFarBytes = 1 << 20;    // arrays of which the next block is asked for beforehand

Status Check(const Traffic& traffic) {
  const auto contiguous = [](const View& view) { return view.layout.c_contiguous(); };
  if (!std::ranges::all_of(traffic.in, contiguous)) {
    return Status::Value("a pass needs contiguous arrays");
  }
  if (traffic.out == nullptr) {
    return traffic.in.empty() ? Status::Value("a pass needs an array") : Status::Ok();
  }
  if (!contiguous(*traffic.out) || reinterpret_cast<uintptr_t>(traffic.out->data) % 64 != 0) {
    return Status::Value("a pass needs a contiguous output that is aligned to 64 bytes");
  }
  return CheckWritable(*traffic.out);
}

// Block `i` of `blocks` of an array: where it begins.
int64_t Begin(const View& view, int64_t i, int64_t blocks) {
  return view.layout.nbytes() / kStep * i / blocks * kStep;
}

uint8_t MoveBlock(const simd::TrafficKernel& kernel, const Traffic& traffic, int64_t i,
                  int64_t blocks) {
  const auto size = [&](const View& view) {
    return static_cast<size_t>(Begin(view, i + 1, blocks) - Begin(view, i, blocks));
  };
  uint8_t seen = 0;
  for (const View& in : traffic.in) {
    const bool is_far = in.layout.nbytes() > kFarBytes && i + 2 < blocks;
    seen |= kernel.read(in.data + Begin(in, i, blocks), size(in), is_far ? size(in) : 0);
  }
  if (traffic.out != nullptr) {
    const auto write = traffic.past_caches ? kernel.stream : kernel.write;
    write(traffic.out->data + Begin(*traffic.out, i, blocks), size(*traffic.out));
  }
  return seen;
}

}  // namespace

Result<int64_t> Pass(const Traffic& traffic, int64_t repeats, const RunOptions& options) {
  SPANFLOW_TRY(Check(traffic));
  RunScope scope;
  int64_t moved = 0, longest = 0;
  const auto add = [&](const View& view) {
    moved += view.layout.nbytes() / kStep * kStep;
    longest = std::max(longest, view.layout.nbytes());
    return scope.Add(view);
  };
  for (const View& in : traffic.in) SPANFLOW_TRY(add(in));
  if (traffic.out != nullptr) SPANFLOW_TRY(add(*traffic.out));
  const simd::TrafficKernel kernel = simd::FindTraffic();
  const int64_t threads = options.threads != 0 ? options.threads : runtime::NumThreads();
  const int64_t blocks = std::max(longest / kBlockBytes, threads);
  std::atomic<uint8_t> seen = 0;
  runtime::ParallelFor(
      blocks, (blocks + threads - 1) / threads,
      [&](int64_t begin, int64_t end) {
        uint8_t folded = 0;
        for (int64_t k = 0; k < repeats; ++k) {
          for (int64_t i = begin; i < end; ++i) folded |= MoveBlock(kernel, traffic, i, blocks);
        }
        seen.fetch_or(folded);  // a fence for what was streamed, too
      },
      options.threads);
  SPANFLOW_TRY(scope.Finish());
  return moved;
}

}  // namespace spanflow::array
