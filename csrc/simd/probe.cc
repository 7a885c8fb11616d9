// Passes over memory that do nothing else: what the lab holds kernels against. Compiled once per
// SIMD target.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "simd/hwy_config.h"

// After hwy_config.h, which configures it.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/probe.cc"
#include "hwy/foreach_target.h"
#include "simd/blocks-inl.h"
#include "simd/tables.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

using Bytes = hn::ScalableTag<uint8_t>;

// Vectors at a time: enough loads under way to fill the pipeline.
constexpr size_t kAtOnce = 4;

template <class Body>
HWY_INLINE void EachStep(size_t nbytes, const Body& body) {
  const size_t step = kAtOnce * hn::Lanes(Bytes());
  for (size_t i = 0; i + step <= nbytes; i += step) body(i);
}

// What was read is folded into one byte that the caller gets, so that no load can be left out.
template <bool kAhead>
uint8_t ReadLoop(const std::byte* in, size_t nbytes, size_t ahead) {
  const Bytes d;
  const size_t line = std::max<size_t>(hn::Lanes(d), 64);
  hn::Vec<Bytes> seen[kAtOnce];
  for (auto& v : seen) v = hn::Zero(d);
  EachStep(nbytes, [&](size_t i) {
    if constexpr (kAhead) {
      for (size_t k = 0; k < kAtOnce * hn::Lanes(d); k += line) hwy::Prefetch(in + i + ahead + k);
    }
    for (size_t k = 0; k < kAtOnce; ++k) {
      seen[k] = hn::Or(seen[k], Load(d, in + i + k * hn::Lanes(d)));
    }
  });
  const auto all = hn::Or(hn::Or(seen[0], seen[1]), hn::Or(seen[2], seen[3]));
  alignas(64) uint8_t bytes[HWY_MAX_BYTES];
  hn::Store(all, d, bytes);
  return bytes[0];
}

uint8_t Read(const std::byte* in, size_t nbytes, size_t ahead) {
  return ahead == 0 ? ReadLoop<false>(in, nbytes, 0) : ReadLoop<true>(in, nbytes, ahead);
}

template <bool kStream>
void Write(std::byte* out, size_t nbytes) {
  const Bytes d;
  const auto value = hn::Set(d, 1);
  EachStep(nbytes, [&](size_t i) {
    for (size_t k = 0; k < kAtOnce; ++k) {
      std::byte* const to = out + i + k * hn::Lanes(d);
      if constexpr (kStream) hn::Stream(value, d, reinterpret_cast<uint8_t*>(to));
      if constexpr (!kStream) Store(value, d, to);
    }
  });
}

void Fill(Tables* tables) { tables->traffic = {&Read, &Write<false>, &Write<true>}; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Probe)
#endif
