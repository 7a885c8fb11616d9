// Order: items as keys and back, sorting of keys, and places among sorted items.
//
// Keys are sorted by Highway's vectorised quicksort (Wassenberg, Blacher, Giesen, Sanders:
// Vectorized and performance-portable quicksort, 2022), of which only the part that needs no
// library is taken. The one-lane target, which it does not know, sorts as the C++ library does.
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/order.cc"
#include "hwy/foreach_target.h"
// Behind the first, which defines the target.
#include "hwy/contrib/sort/traits-inl.h"
#include "hwy/contrib/sort/vqsort-inl.h"
#include "simd/blocks-inl.h"
#include "simd/keys.h"
#include "simd/tables.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

using base::Kind;

template <Kind kKind, KeyOrder kOrder>
void Encode(const void* input, void* output, size_t n) {
  using Coding = KeyCoding<kKind, kOrder>;
  using Key = typename Coding::Key;
  const std::byte* in = static_cast<const std::byte*>(input);
  std::byte* out = static_cast<std::byte*>(output);
  for (size_t i = 0; i < n * sizeof(Key); i += sizeof(Key)) {
    StoreOne(Coding::Encode(LoadOne<Key>(in + i)), out + i);
  }
}

template <Kind kKind, KeyOrder kOrder>
void Decode(const void* input, void* output, size_t n) {
  using Coding = KeyCoding<kKind, kOrder>;
  using Key = typename Coding::Key;
  const std::byte* in = static_cast<const std::byte*>(input);
  std::byte* out = static_cast<std::byte*>(output);
  for (size_t i = 0; i < n * sizeof(Key); i += sizeof(Key)) {
    StoreOne(Coding::Decode(LoadOne<Key>(in + i)), out + i);
  }
}

// Several searches go side by side, each one step at a time: they wait for memory together.
template <Kind kKind>
void Locate(const SortedRun& sorted, const void* wanted, size_t n, bool behind_equal, void* found) {
  using Coding = KeyCoding<kKind, KeyOrder{false, true}>;
  using Key = typename Coding::Key;
  constexpr size_t kTogether = 16;
  const std::byte* in = static_cast<const std::byte*>(wanted);
  std::byte* out = static_cast<std::byte*>(found);
  const auto before = [&](int64_t place, Key key) {
    const Key other = Coding::Encode(LoadOne<Key>(sorted.data + place * sorted.stride));
    return other < key || (behind_equal && other == key);
  };
  while (n != 0) {
    const size_t count = std::min(n, kTogether);
    Key keys[kTogether] = {};
    int64_t from[kTogether] = {};
    for (size_t i = 0; i < count; ++i) keys[i] = LoadOne<Key>(in + i * sizeof(Key));
    for (int64_t left = sorted.count; left > 1; left -= left / 2) {
      const int64_t half = left / 2;
      for (size_t i = 0; i < count; ++i) {
        from[i] += before(from[i] + half - 1, keys[i]) ? half : 0;
      }
    }
    for (size_t i = 0; i < count; ++i) {
      const bool last = sorted.count > 0 && before(from[i], keys[i]);
      StoreOne(from[i] + int64_t{last}, out + i * sizeof(int64_t));
    }
    in += count * sizeof(Key);
    out += count * sizeof(int64_t);
    n -= count;
  }
}

template <class Key>
void SortKeys(void* input, size_t n) {
  Key* const keys = static_cast<Key*>(input);
  if (n < 2) return;
#if HWY_TARGET == HWY_SCALAR
  std::sort(keys, keys + n);
#elif HWY_MAJOR == 1 && HWY_MINOR == 0 && HWY_PATCH <= 3
  // A fixed seed: which pivots are tried changes nothing in the result. So many levels mean bad
  // luck, and the rest is sorted by a heap.
  using Ascending = hn::detail::TraitsLane<hn::detail::OrderAscending<Key> >;
  HWY_ALIGN Key scratch[hwy::SortConstants::BufNum<Key>(HWY_LANES(Key))];
  hn::detail::Generator random(0x9E3779B97F4A7C15u);
  const size_t levels = 2 * static_cast<size_t>(std::bit_width(n)) + 4;
  hn::detail::Recurse(hn::SortTag<Key>(), hn::detail::SharedTraits<Ascending>(), keys, keys + n, n,
                      scratch, random, levels);
#else  // newer versions have an entry without a library
  hn::VQSortStatic(keys, n, hwy::SortAscending());
#endif
}

template <Kind kKind>
void FillKind(Tables* tables) {
  KeyKernel& kernel = tables->keys[static_cast<size_t>(kKind)];
  kernel.encode[0][0] = &Encode<kKind, KeyOrder{false, false}>;
  kernel.encode[0][1] = &Encode<kKind, KeyOrder{false, true}>;
  kernel.encode[1][0] = &Encode<kKind, KeyOrder{true, false}>;
  kernel.encode[1][1] = &Encode<kKind, KeyOrder{true, true}>;
  kernel.decode[0] = &Decode<kKind, KeyOrder{false, false}>;
  kernel.decode[1] = &Decode<kKind, KeyOrder{true, false}>;
  kernel.locate = &Locate<kKind>;
}

void Fill(Tables* tables) {
  ForEachKind([tables]<Kind kKind>() {
    if constexpr (!base::IsComplex(kKind)) FillKind<kKind>(tables);
  });
  tables->sorts[4] = &SortKeys<uint32_t>;
  tables->sorts[8] = &SortKeys<uint64_t>;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Order)
#endif
