// What the tests of the families of elementwise operations share: every operation is tried on every
// kind that it has, on every target, length, alignment and in-place form, against one plain line of
// C++ that says what it means.
//
// Owns: nothing beyond a test. Threads: thread-hostile. Attached: not needed.
// Fails: as testing.h.
//
// A test file has a struct Meaning with
//   template <Op kOp, Kind kKind, class... T> static auto Of(T... items);  // the one line
//   template <Op kOp> static constexpr int kUlps;                          // what it may differ by
//   static constexpr bool kZeroSigns;                                      // whether -0 is not +0
// and names its rows with SPANFLOW_TEST_FAMILY.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "testing.h"

namespace spanflow::simd::testing {

template <class T>
using Unsigned = BitsOf<T>;

template <class T>
T Wrap(unsigned __int128 value) {
  return static_cast<T>(static_cast<Unsigned<T>>(value));
}

template <class T>
struct Complex {
  T re, im;
};

template <class T>
struct IsComplexItem : std::false_type {};
template <class T>
struct IsComplexItem<Complex<T>> : std::true_type {};

template <class T>
bool SameItem(T a, T b, int ulps, bool zero_signs) {
  if constexpr (std::is_floating_point_v<T>) {
    if (zero_signs && a == 0 && b == 0) return std::signbit(a) == std::signbit(b);
  }
  return NearValue(a, b, ulps);
}
template <class T>
bool SameItem(Complex<T> a, Complex<T> b, int ulps, bool zero_signs) {
  return SameItem(a.re, b.re, ulps, zero_signs) && SameItem(a.im, b.im, ulps, zero_signs);
}

template <Kind kKind>
using TestItem = std::conditional_t<base::IsComplex(kKind), Complex<Lane<kKind>>, Lane<kKind>>;

template <class T>
std::vector<std::byte> BytesOf(const std::vector<T>& items) {
  std::vector<std::byte> bytes(items.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), items.data(), bytes.size());
  return bytes;
}

// Operands and the expected result, as items.
template <class Out>
struct Case {
  std::vector<std::vector<std::byte>> in;
  std::vector<size_t> in_bytes;
  std::vector<Out> expected;
};

template <Kind kKind>
std::vector<TestItem<kKind>> Operand(Engine& engine, size_t n) {
  const auto lanes = RandomLanes<kKind>(engine, n * KindLane<kKind>::kLanes);
  std::vector<TestItem<kKind>> items(n);
  std::memcpy(items.data(), lanes.data(), lanes.size() * sizeof(lanes[0]));
  return items;
}

template <Op kOp, Kind kKind, size_t kIndex>
auto MakeOperand(Engine& engine, size_t n) {
  if constexpr (InfoOf(kOp).rule == TypeRule::kSelect && kIndex == 0) {
    std::vector<uint8_t> condition(n);
    for (uint8_t& flag : condition) flag = static_cast<uint8_t>(engine() % 3 * 37);
    return condition;
  } else {
    return Operand<kKind>(engine, n);
  }
}

template <class Meaning, Op kOp, Kind kKind>
auto MakeCase(Engine& engine, size_t n) {
  const auto make = [&]<size_t... kIndex>(std::index_sequence<kIndex...>) {
    return std::tuple{MakeOperand<kOp, kKind, kIndex>(engine, n)...};
  };
  const auto of = [](const auto&... items) { return Meaning::template Of<kOp, kKind>(items...); };
  return std::apply(
      [&](const auto&... operand) {
        Case<decltype(of(operand[0]...))> result{
            {BytesOf(operand)...}, {sizeof(operand[0])...}, {}};
        for (size_t i = 0; i < n; ++i) result.expected.push_back(of(operand[i]...));
        return result;
      },
      make(std::make_index_sequence<static_cast<size_t>(InfoOf(kOp).arity)>()));
}

struct Tolerance {
  int ulps;
  bool zero_signs;
};

template <class Out>
::testing::AssertionResult Matches(const std::byte* got, const Case<Out>& c, size_t first, size_t n,
                                   Tolerance allowed) {
  for (size_t i = 0; i < n; ++i) {
    Out item;
    std::memcpy(&item, got + i * sizeof(Out), sizeof(Out));
    if (!SameItem(item, c.expected[first + i], allowed.ulps, allowed.zero_signs)) {
      return ::testing::AssertionFailure() << "item " << i << " of " << n << " from " << first;
    }
  }
  return ::testing::AssertionSuccess();
}

inline constexpr std::byte kCanary{0xA5};

inline bool CanariesAlive(const std::byte* from, const std::byte* to) {
  return std::all_of(from, to, [](std::byte b) { return b == kCanary; });
}

// Runs items [first, first + n) with every operand and the output against a guard page.
template <class Out>
void RunGuarded(ElementwiseFn run, const Case<Out>& c, size_t first, size_t n, bool at_end,
                std::vector<std::unique_ptr<GuardedBytes>>& guards, Tolerance allowed) {
  const void* in[3] = {};
  for (size_t k = 0; k < c.in.size(); ++k) {
    in[k] = guards[k]->Put(c.in[k].data() + first * c.in_bytes[k], n * c.in_bytes[k], at_end);
  }
  std::byte* const out = at_end ? guards[3]->Before(n * sizeof(Out)) : guards[3]->Start();
  std::byte* const near = at_end ? out - 64 : out + n * sizeof(Out);
  std::fill_n(near, 64, kCanary);
  run(in, out, n);
  ASSERT_TRUE(Matches(out, c, first, n, allowed)) << "guard at the " << (at_end ? "end" : "start");
  ASSERT_TRUE(CanariesAlive(near, near + 64));
}

// At any alignment, with canaries on both sides.
template <class Out>
void RunMisaligned(ElementwiseFn run, const Case<Out>& c, size_t n, size_t shift,
                   Tolerance allowed) {
  std::vector<std::vector<std::byte>> copies;
  const void* in[3] = {};
  for (size_t k = 0; k < c.in.size(); ++k) {
    copies.emplace_back(n * c.in_bytes[k] + 256);
    std::byte* const at = copies.back().data() + (shift * (k + 1)) % 64;
    std::memcpy(at, c.in[k].data(), n * c.in_bytes[k]);
    in[k] = at;
  }
  std::vector<std::byte> output(n * sizeof(Out) + 256, kCanary);
  std::byte* const out = output.data() + 64 + (shift * 5) % 64;
  run(in, out, n);
  ASSERT_TRUE(Matches(out, c, 0, n, allowed)) << "shift " << shift;
  ASSERT_TRUE(CanariesAlive(output.data(), out));
  ASSERT_TRUE(CanariesAlive(out + n * sizeof(Out), output.data() + output.size()));
}

// The output is operand k itself.
template <class Out>
void RunInPlace(ElementwiseFn run, const Case<Out>& c, size_t n, size_t k, Tolerance allowed) {
  std::vector<std::vector<std::byte>> copies = c.in;
  const void* in[3] = {};
  for (size_t i = 0; i < copies.size(); ++i) in[i] = copies[i].data();
  run(in, copies[k].data(), n);
  ASSERT_TRUE(Matches(copies[k].data(), c, 0, n, allowed)) << "in place of operand " << k;
}

template <class Meaning, Op kOp, Kind kKind>
void CheckKernel() {
  constexpr Tolerance kAllowed = {Meaning::template kUlps<kOp>, Meaning::kZeroSigns};
  Engine engine(static_cast<uint64_t>(kOp) * 100 + static_cast<uint64_t>(kKind));
  const ElementwiseKernel kernel = FindKernel(kOp, kKind);
  ASSERT_NE(kernel.run, nullptr);
  constexpr size_t kLong = 20011;
  const auto c = MakeCase<Meaning, kOp, kKind>(engine, kLong);
  using Out = typename std::decay_t<decltype(c.expected)>::value_type;

  std::vector<std::unique_ptr<GuardedBytes>> guards;
  for (int i = 0; i < 4; ++i) guards.push_back(std::make_unique<GuardedBytes>(kLong * 16));
  size_t first = 0;
  for (const size_t n : Lengths(64 / kItemBytes<kKind>)) {
    RunGuarded(kernel.run, c, first, n, true, guards, kAllowed);
    RunGuarded(kernel.run, c, first, n, false, guards, kAllowed);
    if (::testing::Test::HasFatalFailure()) return;
    first = (first + 97) % 15000;
  }
  RunGuarded(kernel.run, c, 0, kLong, true, guards, kAllowed);
  RunGuarded(kernel.stream, c, 0, kLong, true, guards, kAllowed);
  for (size_t shift = 0; shift < 64; ++shift) {
    RunMisaligned(kernel.run, c, 205, shift, kAllowed);
    RunMisaligned(kernel.stream, c, 205, shift, kAllowed);
    RunMisaligned(kernel.stream, c, kLong - shift, shift, kAllowed);
  }
  for (size_t k = 0; k < c.in.size(); ++k) {
    if (c.in_bytes[k] != sizeof(Out)) continue;
    for (const size_t n : {size_t{1}, size_t{5}, size_t{77}, size_t{130}, kLong}) {
      RunInPlace(kernel.run, c, n, k, kAllowed);
      RunInPlace(kernel.stream, c, n, k, kAllowed);
    }
  }
}

template <class Meaning, Op kOp>
void CheckOp() {
  ForEachKind([]<Kind kKind>() {
    if constexpr (Contains(InfoOf(kOp).kinds, kKind)) {
      SCOPED_TRACE(std::string(InfoOf(kOp).name) + " of " + NameOf(kKind));
      if (!::testing::Test::HasFatalFailure()) CheckKernel<Meaning, kOp, kKind>();
    }
  });
}

#define SPANFLOW_TEST_ROW(Name, ...) \
  TEST_P(Elementwise, Name) { CheckOp<Meaning, Op::k##Name>(); }
#define SPANFLOW_TEST_FAMILY(FAMILY)      \
  class Elementwise : public OnTarget {}; \
  FAMILY(SPANFLOW_TEST_ROW)               \
  SPANFLOW_ON_EVERY_TARGET(Elementwise)

}  // namespace spanflow::simd::testing
