// Keys of every kind against comparisons of the items, sorting against the C++ library, and places
// among sorted items.
#include <algorithm>
#include <functional>

#include "testing.h"

namespace spanflow::simd {
namespace {

using namespace testing;  // NOLINT(build/namespaces)

class Order : public OnTarget {};

template <class F>
void ForEachRealKind(F f) {
  ForEachKind([&]<Kind kKind>() {
    if constexpr (!base::IsComplex(kKind)) {
      SCOPED_TRACE(NameOf(kKind));
      if (!::testing::Test::HasFatalFailure()) f.template operator()<kKind>();
    }
  });
}

// An item as something that compares; the lanes of half precision are their bits.
template <Kind kKind>
auto ValueOf(Lane<kKind> lane) {
  if constexpr (kKind == Kind::kF16) {
    const int exponent = (lane >> 10) & 31, fraction = lane & 1023;
    const double size = exponent == 0    ? std::ldexp(fraction, -24)
                        : exponent == 31 ? (fraction != 0 ? NAN : INFINITY)
                                         : std::ldexp(1024 + fraction, exponent - 25);
    return (lane & 0x8000) != 0 ? -size : size;
  } else if constexpr (kKind == Kind::kBF16) {
    return std::bit_cast<float>(uint32_t{lane} << 16);
  } else {
    return lane;
  }
}

// Whether a comes before b: NaN is behind all numbers, in both orders.
template <Kind kKind>
bool Before(Lane<kKind> a, Lane<kKind> b, bool descending) {
  const auto x = ValueOf<kKind>(a), y = ValueOf<kKind>(b);
  if (x != x || y != y) return x == x && y != y;
  return descending ? y < x : x < y;
}

template <Kind kKind>
void CheckKeys(bool descending, bool equal_is_same) {
  using Item = Lane<kKind>;
  using Key = BitsOf<Item>;
  const KeyKernel kernel = FindKeys(kKind);
  Engine engine(static_cast<uint64_t>(kKind));
  const size_t most = 3 * 64 / sizeof(Item) + 7;
  GuardedBytes source(most * sizeof(Item)), target(most * sizeof(Item));
  for (const size_t n : Lengths(64 / sizeof(Item))) {
    const std::vector<Item> items = RandomLanes<kKind>(engine, n);
    for (const bool at_end : {true, false}) {
      const std::byte* const in = source.Put(items.data(), n * sizeof(Item), at_end);
      std::byte* const out = at_end ? target.Before(n * sizeof(Item)) : target.Start();
      kernel.encode[descending][equal_is_same](in, out, n);
      std::vector<Key> keys(n);
      if (n != 0) std::memcpy(keys.data(), out, n * sizeof(Key));
      for (size_t i = 1; i < n; ++i) {
        const bool before = Before<kKind>(items[i - 1], items[i], descending);
        const bool behind = Before<kKind>(items[i], items[i - 1], descending);
        if (before || behind || equal_is_same) {
          ASSERT_EQ(keys[i - 1] < keys[i], before) << i;
          ASSERT_EQ(keys[i - 1] > keys[i], behind) << i;
        }
      }
      kernel.decode[descending](out, out, n);
      for (size_t i = 0; i < n; ++i) {
        Item item;
        std::memcpy(&item, out + i * sizeof(Item), sizeof(Item));
        const auto wanted = ValueOf<kKind>(items[i]), got = ValueOf<kKind>(item);
        ASSERT_TRUE(SameValue(got, wanted)) << i;
        const bool may_differ = wanted != wanted || equal_is_same;
        ASSERT_TRUE(may_differ || std::memcmp(&item, &items[i], sizeof(Item)) == 0) << i;
      }
    }
  }
}

TEST_P(Order, KeysOrderAsTheirItems) {
  ForEachRealKind([]<Kind kKind>() {
    for (const bool descending : {false, true}) {
      for (const bool equal_is_same : {false, true}) CheckKeys<kKind>(descending, equal_is_same);
    }
  });
}

// Shapes of input that sorting by partition treats in ways of their own.
template <class Key>
std::vector<std::vector<Key>> Inputs(Engine& engine, size_t n) {
  std::vector<Key> random(n), few(n), two(n);
  for (size_t i = 0; i < n; ++i) {
    random[i] = static_cast<Key>(engine());
    few[i] = static_cast<Key>(engine() % 5);
    two[i] = engine() % 9 == 0 ? static_cast<Key>(~Key{0}) : Key{0};
  }
  std::vector<Key> rising = random, same(n, Key{7}), mostly(n, Key{7});
  std::sort(rising.begin(), rising.end());
  std::vector<Key> falling(rising.rbegin(), rising.rend());
  if (n > 2) {
    mostly[n / 3] = 9;
    mostly[n / 2] = 3;
  }
  return {random, few, two, rising, same, mostly, falling};
}

template <class Key>
void CheckSort() {
  Engine engine(sizeof(Key));
  const SortFn sort = FindSort(sizeof(Key));
  constexpr size_t kMost = 40'000;
  GuardedBytes memory(kMost * sizeof(Key));
  std::vector<size_t> lengths;
  for (size_t n = 0; n <= 300; ++n) lengths.push_back(n);
  for (const size_t n : {511u, 512u, 513u, 1000u, 2047u, 4097u, 10'001u, 40'000u}) {
    lengths.push_back(static_cast<size_t>(n));
  }
  for (const size_t n : lengths) {
    for (std::vector<Key>& input : Inputs<Key>(engine, n)) {
      for (const bool at_end : {true, false}) {
        std::byte* const keys = memory.Put(input.data(), n * sizeof(Key), at_end);
        sort(keys, n);
        std::vector<Key> expected = input;
        std::sort(expected.begin(), expected.end());
        const bool right = n == 0 || std::memcmp(keys, expected.data(), n * sizeof(Key)) == 0;
        ASSERT_TRUE(right) << n << " keys";
      }
    }
  }
}

TEST_P(Order, SortsKeys) {
  CheckSort<uint32_t>();
  CheckSort<uint64_t>();
  EXPECT_EQ(FindSort(2), nullptr);
}

template <Kind kKind>
void CheckLocate(size_t count, ptrdiff_t gap, bool behind_equal) {
  using Item = Lane<kKind>;
  Engine engine(count);
  std::vector<Item> sorted = RandomLanes<kKind>(engine, count);
  std::vector<Item> wanted = RandomLanes<kKind>(engine, 37);
  if (count > 0) std::copy_n(sorted.begin(), std::min<size_t>(count, 20), wanted.begin());
  const auto before = [](Item a, Item b) { return Before<kKind>(a, b, false); };
  std::stable_sort(sorted.begin(), sorted.end(), before);
  const ptrdiff_t stride = gap * static_cast<ptrdiff_t>(sizeof(Item));
  const size_t span = count == 0 ? 0 : (count - 1) * static_cast<size_t>(stride) + sizeof(Item);
  GuardedBytes memory(span), keys(37 * sizeof(Item)), places(37 * 8);
  std::byte* const data = memory.Before(span);
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(data + static_cast<ptrdiff_t>(i) * stride, &sorted[i], sizeof(Item));
  }
  const KeyKernel kernel = FindKeys(kKind);
  for (const size_t n : {0u, 1u, 5u, 15u, 16u, 17u, 37u}) {
    std::byte* const in = keys.Put(wanted.data(), static_cast<size_t>(n) * sizeof(Item), true);
    std::byte* const out = places.Before(static_cast<size_t>(n) * 8);
    kernel.encode[0][1](in, in, static_cast<size_t>(n));
    kernel.locate({data, stride, static_cast<int64_t>(count)}, in, static_cast<size_t>(n),
                  behind_equal, out);
    for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
      const auto place = behind_equal
                             ? std::upper_bound(sorted.begin(), sorted.end(), wanted[i], before)
                             : std::lower_bound(sorted.begin(), sorted.end(), wanted[i], before);
      int64_t found;
      std::memcpy(&found, out + i * 8, 8);
      ASSERT_EQ(found, place - sorted.begin()) << "among " << count;
    }
  }
}

TEST_P(Order, PlacesAmongSortedItems) {
  ForEachRealKind([]<Kind kKind>() {
    for (const size_t count : {0u, 1u, 2u, 3u, 7u, 8u, 9u, 100u, 1000u}) {
      for (const bool behind_equal : {false, true}) {
        CheckLocate<kKind>(static_cast<size_t>(count), 1, behind_equal);
        CheckLocate<kKind>(static_cast<size_t>(count), 3, behind_equal);
      }
    }
  });
}

SPANFLOW_ON_EVERY_TARGET(Order);

}  // namespace
}  // namespace spanflow::simd
