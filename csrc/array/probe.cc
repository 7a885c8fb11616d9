#include "array/probe.h"

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "array/assign.h"
#include "runtime/pool.h"

namespace spanflow::array {
namespace {

using base::Status;

constexpr int64_t kPartAlign = 256;  // what a pass takes at a time

Status Check(const View& in, const View& out) {
  if (!in.layout.c_contiguous() || !out.layout.c_contiguous() ||
      in.layout.nbytes() != out.layout.nbytes()) {
    return Status::Value("a pass needs two contiguous arrays of the same number of bytes");
  }
  if (reinterpret_cast<uintptr_t>(out.data) % 64 != 0) {
    return Status::Value("a pass needs an output that is aligned to 64 bytes");
  }
  return CheckWritable(out);
}

}  // namespace

Status Pass(simd::Traffic traffic, const View& in, const View& out, int64_t repeats,
            const RunOptions& options) {
  SPANFLOW_TRY(Check(in, out));
  RunScope scope;
  SPANFLOW_TRY(scope.Add(in));
  SPANFLOW_TRY(scope.Add(out));
  const simd::TrafficFn pass = simd::FindTraffic(traffic);
  const int64_t nbytes = in.layout.nbytes();
  const int64_t threads = options.threads != 0 ? options.threads : runtime::NumThreads();
  const int64_t part = std::max(nbytes / threads / kPartAlign * kPartAlign, kPartAlign);
  std::atomic<uint8_t> seen = 0;
  runtime::ParallelFor(
      nbytes, part,
      [&](int64_t begin, int64_t end) {
        uint8_t folded = 0;
        for (int64_t i = 0; i < repeats; ++i) {
          folded |= pass(in.data + begin, out.data + begin, static_cast<size_t>(end - begin));
        }
        seen.fetch_or(folded, std::memory_order_relaxed);
      },
      options.threads);
  return scope.Finish();
}

}  // namespace spanflow::array
