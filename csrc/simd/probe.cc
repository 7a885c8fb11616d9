// Passes over memory that do nothing else: what the lab holds kernels against. Compiled once per
// SIMD target.
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
uint8_t ReadPass(const std::byte* in, std::byte*, size_t nbytes) {
  const Bytes d;
  hn::Vec<Bytes> seen[kAtOnce];
  for (auto& v : seen) v = hn::Zero(d);
  EachStep(nbytes, [&](size_t i) {
    for (size_t k = 0; k < kAtOnce; ++k) {
      seen[k] = hn::Or(seen[k], Load(d, in + i + k * hn::Lanes(d)));
    }
  });
  const auto all = hn::Or(hn::Or(seen[0], seen[1]), hn::Or(seen[2], seen[3]));
  alignas(64) uint8_t bytes[HWY_MAX_BYTES];
  hn::Store(all, d, bytes);
  return bytes[0];
}

template <bool kStream>
HWY_INLINE void Put(hn::Vec<Bytes> v, std::byte* to) {
  if constexpr (kStream) {
    hn::Stream(v, Bytes(), reinterpret_cast<uint8_t*>(to));
  } else {
    Store(v, Bytes(), to);
  }
}

template <bool kStream>
uint8_t WritePass(const std::byte*, std::byte* out, size_t nbytes) {
  const Bytes d;
  const auto value = hn::Set(d, 1);
  EachStep(nbytes, [&](size_t i) {
    for (size_t k = 0; k < kAtOnce; ++k) Put<kStream>(value, out + i + k * hn::Lanes(d));
  });
  if constexpr (kStream) hwy::FlushStream();
  return 0;
}

template <bool kStream>
uint8_t CopyPass(const std::byte* in, std::byte* out, size_t nbytes) {
  const Bytes d;
  EachStep(nbytes, [&](size_t i) {
    for (size_t k = 0; k < kAtOnce; ++k) {
      const size_t at = i + k * hn::Lanes(d);
      Put<kStream>(Load(d, in + at), out + at);
    }
  });
  if constexpr (kStream) hwy::FlushStream();
  return 0;
}

void Fill(Tables* tables) {
  const auto set = [&](Traffic traffic, TrafficFn pass) {
    tables->traffic[static_cast<size_t>(traffic)] = pass;
  };
  set(Traffic::kRead, &ReadPass);
  set(Traffic::kWrite, &WritePass<false>);
  set(Traffic::kStreamWrite, &WritePass<true>);
  set(Traffic::kCopy, &CopyPass<false>);
  set(Traffic::kStreamCopy, &CopyPass<true>);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Probe)
#endif
