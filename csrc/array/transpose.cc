#include "array/transpose.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "array/split.h"
#include "simd/kernels.h"

namespace spanflow::array {
namespace {

constexpr int64_t kLineBytes = 64;
constexpr int64_t kTileBytes = 32 << 10;
constexpr int64_t kMinExtent = 16;  // of either axis; shorter ones gain nothing

// Bytes of one run of the source in a tile: as long as what is written at a time, or nearly so.
constexpr int64_t RunBytes(int64_t itemsize) {
  if (itemsize == 1) return 128;
  return itemsize < 8 ? 256 : 512;
}

// An axis in the order of the copy, running forwards in the target.
struct Axis {
  int64_t extent;
  int64_t from;  // strides
  int64_t to;
};

Axis AxisAt(std::span<const int64_t> shape, const AxisOrder& order, const Side& from,
            const Side& to, int place) {
  const auto axis = static_cast<size_t>(order.axis[place]);
  const int64_t sign = order.flipped[place] ? -1 : 1;
  return {shape[axis], sign * from.strides[axis], sign * to.strides[axis]};
}

struct Tiles {
  Axis line;  // the target's innermost axis
  Axis run;   // the source's
  int64_t itemsize;
  int64_t per_strip;  // elements of the run axis in a tile
  int64_t runs;       // of the source in a tile
  int64_t strips;     // of one plane
  Walk from, to;      // over the other axes

  // Strip s of all planes: a few elements of the run axis, everything along the line axis.
  void CopyStrip(int64_t s) const {
    alignas(kLineBytes) std::byte tile[kTileBytes];
    Cursor source, target;
    source.Start(&from, s / strips);
    target.Start(&to, s / strips);
    const int64_t first = s % strips * per_strip;
    const int64_t width = std::min(per_strip, run.extent - first);
    const std::byte* in = source.pointer() + first * run.from;
    std::byte* out = target.pointer() + first * run.to;
    const int64_t bytes = width * itemsize;
    for (int64_t at = 0; at < line.extent; at += runs) {
      const int64_t lines = std::min(runs, line.extent - at);
      for (int64_t i = 0; i < lines; ++i) {
        std::memcpy(tile + i * bytes, in + (at + i) * line.from, static_cast<size_t>(bytes));
      }
      const std::byte* const next = in + (at + lines) * line.from;
      const int64_t more = std::min(runs, line.extent - at - lines);
      for (int64_t k = 0; k < width; ++k) {
        for (int64_t i = k * more / width; i < (k + 1) * more / width; ++i) {
          for (int64_t b = 0; b < bytes; b += kLineBytes) {
            __builtin_prefetch(next + i * line.from + b);
          }
        }
        simd::Gather(tile + k * itemsize, bytes, static_cast<size_t>(itemsize),
                     out + k * run.to + at * itemsize, static_cast<size_t>(lines));
      }
    }
  }
};

// The place in the order of the axis along which the source has no gaps, or -1.
int FindRun(std::span<const int64_t> shape, const AxisOrder& order, const Side& from,
            const Side& to, int64_t itemsize) {
  for (int i = 0; i + 1 < order.count; ++i) {
    const Axis axis = AxisAt(shape, order, from, to, i);
    if (axis.from == itemsize && axis.extent >= kMinExtent) return i;
  }
  return -1;
}

}  // namespace

bool CopyTransposed(std::span<const int64_t> shape, const AxisOrder& order, const Side& from,
                    const Side& to, int64_t itemsize, const RunOptions& options) {
  if (order.count < 2 || itemsize > kLineBytes) return false;
  const int run = FindRun(shape, order, from, to, itemsize);
  if (run < 0) return false;
  Tiles tiles;
  tiles.line = AxisAt(shape, order, from, to, order.count - 1);
  tiles.run = AxisAt(shape, order, from, to, run);
  if (tiles.line.to != itemsize || tiles.line.extent < kMinExtent) return false;
  if (std::abs(tiles.line.from) < kLineBytes) return false;  // lines are shared as it is
  tiles.itemsize = itemsize;
  tiles.per_strip = RunBytes(itemsize) / itemsize;
  tiles.runs = kTileBytes / RunBytes(itemsize);
  tiles.strips = (tiles.run.extent + tiles.per_strip - 1) / tiles.per_strip;
  AxisOrder planes;
  int64_t total = tiles.strips;
  for (int i = 0; i + 1 < order.count; ++i) {
    if (i == run) continue;
    planes.axis[planes.count] = order.axis[i];
    planes.flipped[planes.count++] = order.flipped[i];
    total *= shape[static_cast<size_t>(order.axis[i])];
  }
  // The two axes of a plane run backwards where the order says so.
  const auto start = [&](const Side& side) {
    std::byte* data = side.data;
    for (int i : {run, order.count - 1}) {
      const auto axis = static_cast<size_t>(order.axis[i]);
      if (order.flipped[i]) data += (shape[axis] - 1) * side.strides[axis];
    }
    return data;
  };
  MakeWalk(start(from), shape, from.strides, planes, &tiles.from);
  MakeWalk(start(to), shape, to.strides, planes, &tiles.to);
  const int64_t strip_bytes = 2 * RunBytes(itemsize) * tiles.line.extent;
  Split(total, strip_bytes, options, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) tiles.CopyStrip(s);
  });
  return true;
}

}  // namespace spanflow::array
