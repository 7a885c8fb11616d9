// What the tests of this room share: guarded memory, pools of interesting values, comparison by
// value, and a fixture that runs a test on every SIMD target of this machine.
//
// Owns: GuardedBytes owns its pages. Threads: thread-hostile. Attached: not needed.
// Fails: a kernel that touches memory outside of a run ends the test with a signal.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "simd/kernels.h"
#include "simd/lanes.h"

namespace spanflow::simd::testing {

using base::Kind;

// Memory with an inaccessible page right before its start and right after its end.
class GuardedBytes {
 public:
  explicit GuardedBytes(size_t capacity) {
    size_ = (capacity + kPage - 1) / kPage * kPage + kPage;
    void* const address =
        mmap(nullptr, size_ + 2 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) std::abort();
    start_ = static_cast<std::byte*>(address) + kPage;
    if (mprotect(start_, size_, PROT_READ | PROT_WRITE) != 0) std::abort();
  }
  ~GuardedBytes() { munmap(start_ - kPage, size_ + 2 * kPage); }
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;

  std::byte* Start() { return start_; }
  std::byte* Before(size_t nbytes) { return start_ + size_ - nbytes; }  // `nbytes` up to the guard
  // Puts a copy of the bytes against the guard at the end, or at the start.
  std::byte* Put(const void* bytes, size_t nbytes, bool at_end) {
    std::byte* const to = at_end ? Before(nbytes) : start_;
    if (nbytes != 0) std::memcpy(to, bytes, nbytes);
    return to;
  }

 private:
  static constexpr size_t kPage = 4096;
  std::byte* start_;
  size_t size_;
};

// Lengths around vector widths, and some odd ones.
inline std::vector<size_t> Lengths(size_t around) {
  std::vector<size_t> lengths;
  for (size_t n = 0; n <= 3 * around + 7; ++n) lengths.push_back(n);
  return lengths;
}

template <class T>
std::vector<T> SpecialValues() {
  using Limits = std::numeric_limits<T>;
  if constexpr (std::is_floating_point_v<T>) {
    const T inf = Limits::infinity();
    return {T(0),
            T(-0.0),
            T(1),
            T(-1),
            T(0.5),
            T(-2.5),
            T(3),
            inf,
            -inf,
            Limits::quiet_NaN(),
            Limits::max(),
            Limits::lowest(),
            Limits::min(),
            -Limits::min(),
            Limits::denorm_min(),
            Limits::epsilon(),
            T(1e10),
            T(-1e-10),
            std::sqrt(Limits::max()),
            T(255.5)};
  } else {
    return {T(0),
            T(1),
            T(2),
            T(3),
            T(7),
            T(100),
            Limits::max(),
            Limits::min(),
            static_cast<T>(Limits::max() - 1),
            static_cast<T>(Limits::min() + 1),
            static_cast<T>(Limits::max() / 2),
            static_cast<T>(~T{0}),
            static_cast<T>(0x80),
            static_cast<T>(0xFF)};
  }
}

using Engine = std::mt19937_64;

// Any bit pattern for integers; floats of moderate size in both signs.
template <class T>
T RandomValue(Engine& engine) {
  if constexpr (std::is_floating_point_v<T>) {
    const double size = std::exp2(std::uniform_real_distribution<double>(-20, 20)(engine));
    return static_cast<T>((engine() & 1) != 0 ? size : -size);
  } else {
    return static_cast<T>(engine());
  }
}

// Lanes of one kind; bool lanes are 0 and 1.
template <Kind kKind>
std::vector<Lane<kKind>> RandomLanes(Engine& engine, size_t count, bool specials = true) {
  using T = Lane<kKind>;
  const std::vector<T> special = SpecialValues<T>();
  std::vector<T> lanes(count);
  for (T& lane : lanes) {
    lane =
        specials && engine() % 4 == 0 ? special[engine() % special.size()] : RandomValue<T>(engine);
    if constexpr (kKind == Kind::kBool) lane = lane & 1;
  }
  return lanes;
}

// Equal as values: any NaN equals any other, +0 equals -0.
template <class T>
bool SameValue(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  }
  return a == b;
}

// Equal or at most `ulps` representable numbers apart.
template <class T>
bool NearValue(T a, T b, int ulps) {
  if (SameValue(a, b)) return true;
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(a) || !std::isfinite(b)) return false;
    for (int i = 0; i < ulps; ++i) {
      a = std::nextafter(a, b);
      if (a == b) return true;
    }
  }
  return false;
}

inline std::string NameOf(Kind kind) { return base::InfoOf(kind).name; }

// One instance of every test per SIMD target.
class OnTarget : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { ASSERT_TRUE(UseTarget(GetParam())); }
  void TearDown() override { UseTarget(""); }
};

#define SPANFLOW_ON_EVERY_TARGET(Suite)                                             \
  INSTANTIATE_TEST_SUITE_P(Targets, Suite, ::testing::ValuesIn(AvailableTargets()), \
                           [](const auto& test) { return test.param; })

}  // namespace spanflow::simd::testing
