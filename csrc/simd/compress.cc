// Selection by a mask: compress, and the count of a mask.
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/compress.cc"
#include "hwy/foreach_target.h"
#include "simd/blocks-inl.h"
#include "simd/tables.h"

#ifndef SPANFLOW_SIMD_COMPRESS_TABLES
#define SPANFLOW_SIMD_COMPRESS_TABLES
namespace spanflow::simd {
namespace {

// For each set of eight lanes their numbers, from the lowest on; the rest does not matter.
constexpr auto kLaneOrder = [] {
  std::array<std::array<uint8_t, 8>, 256> table{};
  for (size_t bits = 0; bits < 256; ++bits) {
    size_t used = 0;
    for (uint8_t lane = 0; lane < 8; ++lane) {
      if ((bits >> lane & 1) != 0) table[bits][used++] = lane;
    }
  }
  return table;
}();

// Each bit twice: lanes of 64 bits as pairs of 32.
constexpr auto kTwice = [] {
  std::array<uint16_t, 256> table{};
  for (size_t bits = 0; bits < 256; ++bits) {
    for (size_t k = 0; k < 8; ++k) {
      if ((bits >> k & 1) != 0) table[bits] = static_cast<uint16_t>(table[bits] | 3u << (2 * k));
    }
  }
  return table;
}();

}  // namespace
}  // namespace spanflow::simd
#endif

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

size_t CountMask(const uint8_t* mask, size_t n) {
  const hn::ScalableTag<uint8_t> d;
  constexpr size_t kLanes = hn::MaxLanes(d);
  const auto zero = hn::Zero(d);
  const std::byte* in = reinterpret_cast<const std::byte*>(mask);
  size_t count = 0;
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) count += hn::CountTrue(d, hn::Ne(Load(d, in + i), zero));
  for (; i < n; ++i) count += mask[i] != 0;
  return count;
}

// Which of 64 mask bytes are true, as bits.
HWY_INLINE uint64_t MaskBits(const std::byte* mask) {
  uint64_t bits = 0;
#if HWY_TARGET == HWY_SCALAR
  for (size_t i = 0; i < 64; ++i) bits |= uint64_t{mask[i] != std::byte{0}} << i;
#else
  const hn::ScalableTag<uint8_t> d;
  constexpr size_t kLanes = hn::MaxLanes(d);
  for (size_t i = 0; i < 64; i += kLanes) {
    uint64_t part = 0;
    uint8_t bytes[8] = {};
    hn::StoreMaskBits(d, hn::Ne(Load(d, mask + i), hn::Zero(d)), bytes);
    std::memcpy(&part, bytes, sizeof(part));
    bits |= part << i;
  }
#endif
  return bits;
}

// The same for the mask's last bytes where there are no 64.
HWY_INLINE uint64_t MaskBitsBefore(const std::byte* mask, size_t left) {
  if (left >= 64) return MaskBits(mask);
  uint64_t bits = 0;
  for (size_t k = 0; k < left; ++k) bits |= uint64_t{mask[k] != std::byte{0}} << k;
  return bits;
}

// The items of at most 64 whose bit is set.
template <size_t kBytes>
HWY_INLINE std::byte* CompressBits(const std::byte* in, size_t itemsize, uint64_t bits,
                                   std::byte* out) {
  const size_t bytes = kBytes != 0 ? kBytes : itemsize;
  if (bits == ~uint64_t{0}) {
    std::memmove(out, in, 64 * bytes);
    return out + 64 * bytes;
  }
  for (; bits != 0; bits &= bits - 1, out += bytes) {
    std::memmove(out, in + static_cast<size_t>(std::countr_zero(bits)) * bytes, bytes);
  }
  return out;
}

#if HWY_TARGET != HWY_SCALAR

// Highway's own Compress is only used where it is one instruction: elsewhere some compilers copy
// its tables to the stack at each call.
template <class D>
HWY_INLINE hn::Vec<D> CompressLanes(D d, hn::Vec<D> v, size_t bits) {
  constexpr size_t kLanes = hn::MaxLanes(d);
  if constexpr (kLanes == 16) {
    const uint8_t bytes[8] = {static_cast<uint8_t>(bits), static_cast<uint8_t>(bits >> 8)};
    return hn::Compress(v, hn::LoadMaskBits(d, bytes));
  } else {
    const hn::Rebind<uint8_t, D> d8;
    const auto order = hn::LoadU(d8, kLaneOrder[bits].data());
    return hn::TableLookupLanes(v, hn::IndicesFromVec(d, hn::PromoteTo(d, order)));
  }
}

// One part of the items is compressed at a time: eight short ones, or a vector of 32-bit lanes.
template <size_t kBytes>
inline constexpr size_t kPartItems = kBytes <= 2
                                         ? 8
                                         : hn::MaxLanes(hn::ScalableTag<uint32_t>()) * 4 / kBytes;

template <size_t kBytes>
HWY_INLINE void CompressPart(const std::byte* in, size_t bits, std::byte* out) {
  if constexpr (kBytes <= 2) {
    const hn::CappedTag<uint8_t, 8 * kBytes> d;
    auto order = hn::Zero(d);
    if constexpr (kBytes == 1) {
      order = hn::LoadU(d, kLaneOrder[bits].data());
    } else {
      const hn::CappedTag<uint8_t, 8> d8;
      const hn::Rebind<uint16_t, decltype(d8)> d16;
      const auto lanes = hn::PromoteTo(d16, hn::LoadU(d8, kLaneOrder[bits].data()));
      // Lane k consists of the bytes 2k and 2k + 1.
      order = hn::BitCast(d, hn::Add(hn::Mul(lanes, hn::Set(d16, 0x0202)), hn::Set(d16, 0x0100)));
    }
    Store(hn::TableLookupBytes(Load(d, in), order), d, out);
  } else {
    const hn::ScalableTag<uint32_t> d;
    Store(CompressLanes(d, Load(d, in), kBytes == 8 ? kTwice[bits] : bits), d, out);
  }
}

// As CompressBits with vectors. A whole vector is stored each time, so there must be as much room:
// up to what these items will become, and `more` items that will be written behind them later. The
// last ones are therefore done bit by bit.
template <size_t kBytes>
HWY_INLINE std::byte* CompressVectors(const std::byte* in, uint64_t bits, std::byte* out,
                                      size_t more) {
  constexpr size_t kItems = kPartItems<kBytes>;
  constexpr size_t kVector = kItems * kBytes;
  const size_t room = (static_cast<size_t>(std::popcount(bits)) + more) * kBytes;
  const std::byte* const end = out + room;
  for (; bits != 0 && out + kVector <= end; bits >>= kItems, in += kVector) {
    const size_t part = bits & ((size_t{1} << kItems) - 1);
    CompressPart<kBytes>(in, part, out);
    out += static_cast<size_t>(std::popcount(part)) * kBytes;
  }
  return CompressBits<kBytes>(in, kBytes, bits, out);
}

#endif

template <size_t kBytes>
HWY_INLINE std::byte* CompressWord(const std::byte* in, size_t itemsize, uint64_t bits,
                                   std::byte* out, size_t more) {
#if HWY_TARGET != HWY_SCALAR
  if constexpr (kBytes != 0 && kBytes <= 8) {
    if (bits != ~uint64_t{0}) return CompressVectors<kBytes>(in, bits, out, more);
  }
#endif
  (void)more;
  return CompressBits<kBytes>(in, itemsize, bits, out);
}

template <size_t kBytes>
size_t CompressLoop(const std::byte* in, size_t itemsize, const uint8_t* mask, size_t n,
                    std::byte* out) {
  const size_t bytes = kBytes != 0 ? kBytes : itemsize;
  const std::byte* const flags = reinterpret_cast<const std::byte*>(mask);
  std::byte* const start = out;
  uint64_t bits = MaskBitsBefore(flags, n);
  size_t i = 0;
  for (; i + 64 <= n; i += 64) {
    const uint64_t next = MaskBitsBefore(flags + i + 64, n - i - 64);
    const size_t more = static_cast<size_t>(std::popcount(next));
    if (bits != 0) out = CompressWord<kBytes>(in + i * bytes, itemsize, bits, out, more);
    bits = next;
  }
  out = CompressBits<kBytes>(in + i * bytes, itemsize, bits, out);
  return static_cast<size_t>(out - start) / bytes;
}

size_t CompressItems(const std::byte* in, size_t itemsize, const uint8_t* mask, size_t n,
                     std::byte* out) {
  switch (itemsize) {
    case 0:
      return CountMask(mask, n);
    case 1:
      return CompressLoop<1>(in, itemsize, mask, n, out);
    case 2:
      return CompressLoop<2>(in, itemsize, mask, n, out);
    case 4:
      return CompressLoop<4>(in, itemsize, mask, n, out);
    case 8:
      return CompressLoop<8>(in, itemsize, mask, n, out);
    case 16:
      return CompressLoop<16>(in, itemsize, mask, n, out);
    default:
      return CompressLoop<0>(in, itemsize, mask, n, out);
  }
}

void Fill(Tables* tables) {
  tables->compress = &CompressItems;
  tables->count_true = &CountMask;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Compress)
#endif
