#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "simd/kernels.h"

namespace spanflow::simd {
namespace {

TEST(Targets, TheBestIsFirstAndInUse) {
  const std::vector<std::string> names = AvailableTargets();
  ASSERT_FALSE(names.empty());
  EXPECT_TRUE(UseTarget(""));
  EXPECT_EQ(TargetInUse(), names.front());
  for (const std::string& name : names) EXPECT_EQ(std::count(names.begin(), names.end(), name), 1);
}

TEST(Targets, EachOneCanBeUsedAndHasItsOwnKernels) {
  std::vector<ElementwiseFn> seen;
  for (const std::string& name : AvailableTargets()) {
    ASSERT_TRUE(UseTarget(name)) << name;
    EXPECT_EQ(TargetInUse(), name);
    seen.push_back(FindKernel(Op::kAdd, base::Kind::kF32).run);
  }
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()), seen.end());
  EXPECT_TRUE(UseTarget(""));
}

TEST(Targets, AnUnknownNameChangesNothing) {
  const std::string before = TargetInUse();
  EXPECT_FALSE(UseTarget("PDP11"));
  EXPECT_EQ(TargetInUse(), before);
}

// The environment is looked at once, so each case needs a process of its own.
[[noreturn]] void ExitWithTarget(const std::string& expected) {
  std::exit(TargetInUse() == expected ? 0 : 1);
}

TEST(TargetsDeathTest, TheEnvironmentChooses) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const std::vector<std::string> names = AvailableTargets();
  setenv("SPANFLOW_SIMD_TARGET", names.back().c_str(), 1);
  EXPECT_EXIT(ExitWithTarget(names.back()), ::testing::ExitedWithCode(0), "");
  setenv("SPANFLOW_SIMD_TARGET", "PDP11", 1);
  EXPECT_EXIT(ExitWithTarget(names.front()), ::testing::ExitedWithCode(0), "");
  unsetenv("SPANFLOW_SIMD_TARGET");
}

TEST(Tables, CellsExistExactlyWhereDeclared) {
  for (const std::string& name : AvailableTargets()) {
    ASSERT_TRUE(UseTarget(name));
    for (int k = 0; k < base::kNumAllKinds; ++k) {
      const auto kind = static_cast<base::Kind>(k);
      for (int i = 0; i < kNumOps; ++i) {
        const ElementwiseKernel kernel = FindKernel(static_cast<Op>(i), kind);
        const bool declared = Contains(kOps[static_cast<size_t>(i)].kinds, kind);
        EXPECT_EQ(kernel.run != nullptr, declared)
            << name << " " << kOps[static_cast<size_t>(i)].name << " " << k;
        EXPECT_EQ(kernel.stream != nullptr, declared);
      }
      for (int i = 0; i < kNumReductions; ++i) {
        const auto reduction = static_cast<Reduction>(i);
        const bool declared = Contains(InfoOf(reduction).kinds, kind);
        const ReductionKernel flat = FindReduction(reduction, kind);
        EXPECT_EQ(flat.init != nullptr, declared)
            << name << " " << InfoOf(reduction).name << " " << k;
        EXPECT_EQ(flat.update != nullptr, declared);
        EXPECT_EQ(flat.merge != nullptr, declared);
        EXPECT_EQ(flat.finish != nullptr, declared);
        const ColumnKernel column = FindColumnReduction(reduction, kind);
        const bool has_columns = column.init != nullptr;  // a row may do without
        EXPECT_TRUE(declared || !has_columns) << InfoOf(reduction).name << " " << k;
        EXPECT_EQ(column.update != nullptr, has_columns);
        EXPECT_EQ(column.merge != nullptr, has_columns);
        EXPECT_EQ(column.finish != nullptr, has_columns);
      }
      for (int to = 0; to < base::kNumAllKinds; ++to) {
        const bool both = k < base::kNumKinds && to < base::kNumKinds;
        EXPECT_EQ(FindCast(kind, static_cast<base::Kind>(to)) != nullptr, both) << k << " " << to;
      }
    }
    for (int unit = 0; unit <= 16; ++unit) {
      EXPECT_EQ(FindByteSwap(unit) != nullptr, unit == 2 || unit == 4 || unit == 8) << unit;
    }
  }
  EXPECT_TRUE(UseTarget(""));
}

}  // namespace
}  // namespace spanflow::simd
