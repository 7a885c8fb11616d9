#include "array/gather.h"

#include <algorithm>
#include <cstring>

#include "simd/kernels.h"

namespace spanflow::array {
namespace {

// Runs up to this long are copied by one loop nest: a call for each would cost more than the copy.
constexpr int64_t kNestedRun = 32;

// A grid of equal runs: `runs` of `length` items, `run_step` bytes apart, items `step` apart.
struct Grid {
  std::byte* data;
  int64_t runs;
  ptrdiff_t run_step;
  int64_t length;
  ptrdiff_t step;
};

template <size_t kSize, bool kGather>
void CopyGrid(const Grid& grid, std::byte* packed) {
  std::byte* run = grid.data;
  for (int64_t r = 0; r < grid.runs; ++r, run += grid.run_step) {
    std::byte* item = run;
    for (int64_t i = 0; i < grid.length; ++i, item += grid.step, packed += kSize) {
      if constexpr (kGather)
        std::memcpy(packed, item, kSize);
      else
        std::memcpy(item, packed, kSize);
    }
  }
}

template <bool kGather>
void CopyRun(std::byte* data, ptrdiff_t step, int64_t itemsize, std::byte* packed, int64_t n) {
  const auto size = static_cast<size_t>(itemsize);
  const auto count = static_cast<size_t>(n);
  if (step == itemsize) {
    if constexpr (kGather)
      std::memcpy(packed, data, size * count);
    else
      std::memcpy(data, packed, size * count);
  } else if constexpr (kGather) {
    simd::Gather(data, step, size, packed, count);
  } else {
    simd::Scatter(packed, data, step, size, count);
  }
}

// Whole short runs. A run without gaps is one wide item, for which there are fast loops; the
// others have itemsizes for which CopyGrid is made, or go run by run.
template <bool kGather>
void CopyRuns(const Grid& grid, int64_t itemsize, std::byte* packed) {
  if (grid.step == itemsize) {
    return CopyRun<kGather>(grid.data, grid.run_step, itemsize * grid.length, packed, grid.runs);
  }
  if (grid.length <= kNestedRun) {
    switch (itemsize) {
      case 1:
        return CopyGrid<1, kGather>(grid, packed);
      case 2:
        return CopyGrid<2, kGather>(grid, packed);
      case 4:
        return CopyGrid<4, kGather>(grid, packed);
      case 8:
        return CopyGrid<8, kGather>(grid, packed);
      case 16:
        return CopyGrid<16, kGather>(grid, packed);
      default:
        break;
    }
  }
  std::byte* run = grid.data;
  for (int64_t r = 0; r < grid.runs; ++r, run += grid.run_step) {
    CopyRun<kGather>(run, grid.step, itemsize, packed, grid.length);
    packed += itemsize * grid.length;
  }
}

template <bool kGather>
void CopyAlong(Cursor* cursor, int64_t itemsize, std::byte* packed, int64_t n) {
  const Walk& walk = cursor->walk();
  while (n > 0) {
    int64_t done;
    if (cursor->at() == 0 && n >= walk.run() && !walk.single_run()) {
      const int64_t runs = std::min(n / walk.run(), cursor->runs_left());
      CopyRuns<kGather>({cursor->pointer(), runs, cursor->run_step(), walk.run(), walk.step()},
                        itemsize, packed);
      cursor->NextRuns(runs);
      done = runs * walk.run();
    } else {
      done = std::min(n, cursor->left());
      CopyRun<kGather>(cursor->pointer(), walk.step(), itemsize, packed, done);
      cursor->Advance(done);
    }
    packed += done * itemsize;
    n -= done;
  }
}

}  // namespace

void GatherFrom(Cursor* cursor, int64_t itemsize, std::byte* out, int64_t n) {
  CopyAlong<true>(cursor, itemsize, out, n);
}

void ScatterTo(Cursor* cursor, int64_t itemsize, const std::byte* in, int64_t n) {
  CopyAlong<false>(cursor, itemsize, const_cast<std::byte*>(in), n);  // only read
}

}  // namespace spanflow::array
