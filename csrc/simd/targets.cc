// Chooses the SIMD target. The choice is our own and not Highway's process-wide one, so that tests
// may switch targets without disturbing other users of libhwy in the same process.
#include <strings.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "simd/hwy_config.h"
#include "simd/tables.h"

// After hwy_config.h, which configures it.
#include "hwy/targets.h"

namespace spanflow::simd {
namespace {

// Highway's target bits that this build has and this machine can run; a lower bit is better.
int64_t AvailableBits() { return (hwy::SupportedTargets() | HWY_STATIC_TARGET) & HWY_TARGETS; }

int64_t BestBit(int64_t bits) { return bits & -bits; }

// 0 when there is no such target. Names are the same in any case: "avx2" is AVX2.
int64_t BitOf(const std::string& name) {
  for (int64_t bits = AvailableBits(); bits != 0; bits &= bits - 1) {
    if (strcasecmp(name.c_str(), hwy::TargetName(BestBit(bits))) == 0) return BestBit(bits);
  }
  return 0;
}

// The position of a target in the tables that HWY_EXPORT makes.
size_t DispatchIndex(int64_t bit) {
  if constexpr ((HWY_TARGETS & (HWY_TARGETS - 1)) == 0) return 0;
  hwy::ChosenTarget chosen;
  chosen.Update(bit);
  return chosen.GetIndex();
}

// Whether these are the AVX-512 kernels on a core of AMD, where a few others are faster.
bool IsWideOnAmd([[maybe_unused]] int64_t bit) {
#if HWY_ARCH_X86
  return bit == HWY_AVX3 && (AvailableBits() & HWY_AVX2) != 0 && __builtin_cpu_is("amd");
#else
  return false;
#endif
}

// Compressing 32-bit lanes into memory takes AMD's cores over a hundred cycles, and that is how
// Highway's AVX-512 sort takes them apart: its AVX2 sort is eight times as fast there. (64-bit
// lanes are compressed in a register.) What streams past the caches and computes little takes up
// to twice as long with 64-byte vectors, for a reason that is not known.
void TakeFasterOnesOf(int64_t bit, Tables* tables) {
  auto other = std::make_unique<Tables>();
  for (const auto fill : {&FillOrder, &FillArithmetic, &FillRounding, &FillLogic}) {
    fill(DispatchIndex(bit), other.get());
  }
  tables->sorts[4] = other->sorts[4];
  for (size_t op = 0; op < kNumOps; ++op) {
    for (size_t kind = 0; kind < base::kNumKinds; ++kind) {
      const ElementwiseFn stream = other->ops[op][kind].stream;
      if (stream != nullptr) tables->ops[op][kind].stream = stream;
    }
  }
}

// Made on first use and never freed, so that a reference to them stays valid at exit.
const Tables& TablesOf(int64_t bit) {
  static std::mutex mutex;
  static Tables* made[64] = {};
  const std::lock_guard<std::mutex> lock(mutex);
  Tables*& tables = made[__builtin_ctzll(static_cast<uint64_t>(bit))];
  if (tables == nullptr) {
    auto fresh = std::make_unique<Tables>();
    const size_t target = DispatchIndex(bit);
    fresh->target_name = hwy::TargetName(bit);
#define SPANFLOW_ROW(Name) Fill##Name(target, fresh.get());
    SPANFLOW_FAMILIES(SPANFLOW_ROW)
#undef SPANFLOW_ROW
    if (IsWideOnAmd(bit)) TakeFasterOnesOf(HWY_AVX2, fresh.get());
    tables = fresh.release();
  }
  return *tables;
}

// The best target, or the one that the environment asks for where it is available; of one that is
// not, spanflow/_settings.py warns.
const Tables& DefaultTables() {
  const char* wanted = std::getenv("SPANFLOW_SIMD_TARGET");
  const int64_t bit = wanted == nullptr ? 0 : BitOf(wanted);
  return TablesOf(bit != 0 ? bit : BestBit(AvailableBits()));
}

std::atomic<const Tables*> current{nullptr};

const Tables& ChooseTables() {
  const Tables& tables = DefaultTables();
  const Tables* expected = nullptr;
  // A racing UseTarget wins: what it chose must not be undone by a first call elsewhere.
  if (current.compare_exchange_strong(expected, &tables, std::memory_order_acq_rel)) return tables;
  return *expected;
}

}  // namespace

const Tables& CurrentTables() {
  const Tables* tables = current.load(std::memory_order_acquire);
  return tables != nullptr ? *tables : ChooseTables();
}

std::vector<std::string> AvailableTargets() {
  std::vector<std::string> names;
  for (int64_t bits = AvailableBits(); bits != 0; bits &= bits - 1) {
    names.emplace_back(hwy::TargetName(BestBit(bits)));
  }
  return names;
}

std::string TargetInUse() { return CurrentTables().target_name; }

bool UseTarget(const std::string& name) {
  const int64_t bit = name.empty() ? BestBit(AvailableBits()) : BitOf(name);
  if (bit == 0) return false;
  current.store(&TablesOf(bit), std::memory_order_release);
  return true;
}

}  // namespace spanflow::simd
