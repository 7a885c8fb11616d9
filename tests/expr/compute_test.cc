// Expressions against the same operations one by one.
#include "expr/compute.h"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <thread>

#include "../array/testing.h"
#include "array/copy.h"
#include "array/create.h"
#include "array/reduce.h"
#include "expr/text.h"
#include "runtime/pool.h"

namespace spanflow::expr {
namespace {

using array::View;
using array::testing::ElementwiseOf;
using array::testing::Get;
using array::testing::MakeView;
using array::testing::Random;
using base::Code;
using base::Dims;
using base::DType;
using base::Kind;
using simd::Op;
using simd::Reduction;

NodeRef Float(double value) {
  Number number;
  number.weak = array::Weak::kFloat;
  number.re = value;
  return FromNumber(number);
}

NodeRef Int(int64_t value) {
  Number number;
  number.integer = value;
  return FromNumber(number);
}

View Ramp(Kind kind, const Dims& shape) {
  View view = MakeView(DType(Kind::kF64), shape);
  auto* items = reinterpret_cast<double*>(view.data);
  for (int64_t i = 0; i < view.size(); ++i) items[i] = static_cast<double>(i % 97) - 40;
  View result = array::CopyToNew(view, DType(kind)).value();
  return result;
}

base::Result<std::vector<View>> ComputeAll(const std::vector<NodeRef>& roots,
                                           std::vector<const View*> outs = {},
                                           const array::RunOptions& options = {}) {
  SPANFLOW_ASSIGN(const auto computation, Computation::Make(roots, {}, outs));
  EXPECT_TRUE(computation->Serves({}, outs));
  return computation->Run({}, outs, options);
}

View ComputeOne(const NodeRef& root, const array::RunOptions& options = {}) {
  auto results = ComputeAll({root}, {}, options);
  EXPECT_TRUE(results.ok()) << results.status().message();
  return results.value()[0];
}

// Element by element, also of views of different strides.
void ExpectSame(const View& a, const View& b) {
  ASSERT_EQ(a.layout.shape, b.layout.shape);
  ASSERT_EQ(a.dtype().kind(), b.dtype().kind());
  array::testing::ForEachIndex(a.layout.shape, [&](const Dims& index) {
    ASSERT_EQ(Get(a, index), Get(b, index)) << ToString(index);
  });
}

View Eager(Op op, const View& a, const View& b, Kind compute, Kind result) {
  const View out = array::Empty(DType(result), a.layout.shape).value();
  EXPECT_TRUE(ElementwiseOf(op, {{a, b}}, compute, out).ok());
  return out;
}

TEST(ComputeTest, AChainGivesWhatItsOperationsGive) {
  Random random(1);
  for (const int64_t n : {1, 7, 1023, 1024, 1025, 70'001, 300'000}) {
    const View a = Ramp(Kind::kF32, {n}), b = Ramp(Kind::kF64, {n});
    const NodeRef x = FromArray(a), y = FromArray(b);
    const View sum = Eager(Op::kAdd, a, b, Kind::kF64, Kind::kF64);
    const View product = Eager(Op::kMultiply, sum, b, Kind::kF64, Kind::kF64);
    const View less = Eager(Op::kLess, product, a, Kind::kF64, Kind::kBool);
    const NodeRef node_sum = Apply(Op::kAdd, {x, y});
    const NodeRef node_product = Apply(Op::kMultiply, {node_sum, y});
    ExpectSame(ComputeOne(Apply(Op::kLess, {node_product, x})), less);
    auto both = ComputeAll({node_product, node_sum, node_product});
    ASSERT_TRUE(both.ok());
    ExpectSame(both.value()[0], product);
    ExpectSame(both.value()[1], sum);
    ExpectSame(both.value()[2], product);
  }
}

TEST(ComputeTest, AnyLayoutAndBroadcasting) {
  Random random(2);
  for (int i = 0; i < array::testing::Trials(200); ++i) {
    const Dims shape = array::testing::RandomShape(random, 3);
    Dims row = shape;
    if (row.size() > 0) row[0] = 1;
    const View a = RandomView(random, random.AnyDType(), shape, {.repeat = true});
    const View b = RandomView(random, random.AnyDType(), row);
    array::testing::FillSmall(random, a);
    array::testing::FillSmall(random, b);
    const array::OperandType types[] = {{a.dtype().kind()}, {b.dtype().kind()}};
    const array::OpTypes resolved = array::ResolveOp(Op::kAdd, types).value();
    const View wanted = array::Empty(DType(resolved.result), shape).value();
    ASSERT_TRUE(ElementwiseOf(Op::kAdd, {{a, b}}, resolved.compute, wanted).ok());
    const NodeRef node = Apply(Op::kAdd, {FromArray(a), FromArray(b)});
    ExpectSame(ComputeOne(node), wanted);
    // Into a place of any layout.
    const View out = RandomView(random, DType(resolved.result), shape);
    const array::testing::Guard guard(out);
    auto results = ComputeAll({node}, {&out});
    ASSERT_TRUE(results.ok()) << results.status().message();
    ExpectSame(out, wanted);
  }
}

TEST(ComputeTest, ReductionsSharePassesAndFeedLaterOnes) {
  const View a = Ramp(Kind::kF64, {200'000});
  const NodeRef x = FromArray(a);
  const NodeRef mean = Reduce(Reduction::kMean, x);
  const NodeRef centered = Apply(Op::kSubtract, {x, mean});
  auto results = ComputeAll({mean, Reduce(Reduction::kMax, x), Reduce(Reduction::kSum, centered),
                             Reduce(Reduction::kMin, centered)});
  ASSERT_TRUE(results.ok()) << results.status().message();
  const double seen_mean = Get(results.value()[0], {});
  EXPECT_EQ(Get(results.value()[1], {}), 56);
  EXPECT_NEAR(Get(results.value()[2], {}), 0, 1e-6);
  EXPECT_EQ(Get(results.value()[3], {}), -40 - seen_mean);
}

TEST(ComputeTest, ReductionsAlongAxes) {
  const View a = Ramp(Kind::kI32, {30, 50});
  const NodeRef doubled = Apply(Op::kMultiply, {FromArray(a), Int(2)});
  const View sums = ComputeOne(Reduce(Reduction::kSum, doubled, {{{0}}, true, 0}));
  const View array = ComputeOne(doubled);
  const View wanted = array::Empty(DType(Kind::kI64), {1, 50}).value();
  array::AxisSet axes;
  axes.set(0);
  ASSERT_TRUE(array::Reduce(Reduction::kSum, array, axes, {}, wanted).ok());
  ExpectSame(sums, wanted);
  // And back into an expression, broadcast.
  const View rest = ComputeOne(Apply(
      Op::kSubtract, {FromArray(a), Reduce(Reduction::kMax, FromArray(a), {{{-1}}, true, 0})}));
  EXPECT_EQ(rest.layout.shape, (Dims{30, 50}));
  EXPECT_LE(Get(rest, {3, 4}), 0);
}

TEST(ComputeTest, Filters) {
  for (const int64_t n : {0, 1, 1000, 200'000}) {
    const View a = Ramp(Kind::kI32, {n});
    const NodeRef x = FromArray(a);
    const NodeRef kept = Filter(x, Apply(Op::kGreater, {x, Int(10)}));
    const NodeRef odd =
        Filter(kept, Apply(Op::kEqual, {Apply(Op::kBitwiseAnd, {kept, Int(1)}), Int(1)}));
    const NodeRef scaled = Apply(Op::kAdd, {Apply(Op::kMultiply, {odd, Int(3)}), Int(1)});
    std::vector<int32_t> wanted;
    int64_t sum = 0, count = 0;
    for (int64_t i = 0; i < n; ++i) {
      const auto item = static_cast<int32_t>(i % 97 - 40);
      if (item > 10) ++count;
      if (item <= 10 || (item & 1) == 0) continue;
      wanted.push_back(3 * item + 1);
      sum += 3 * item + 1;
    }
    auto results = ComputeAll(
        {scaled, Reduce(Reduction::kSum, scaled), Reduce(Reduction::kCountNonzero, kept)});
    ASSERT_TRUE(results.ok()) << results.status().message();
    const View& items = results.value()[0];
    ASSERT_EQ(items.size(), static_cast<int64_t>(wanted.size()));
    for (size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_EQ(Get(items, {static_cast<int64_t>(i)}), wanted[i]);
    }
    EXPECT_EQ(Get(results.value()[1], {}), static_cast<double>(sum));
    EXPECT_EQ(Get(results.value()[2], {}), static_cast<double>(count));
  }
}

TEST(ComputeTest, FiltersKeepTheOrderOfIndices) {
  View a = Ramp(Kind::kI32, {3, 4});
  std::swap(a.layout.shape[0], a.layout.shape[1]);
  std::swap(a.layout.strides[0], a.layout.strides[1]);
  const NodeRef x = FromArray(a);
  const View all = ComputeOne(Filter(x, Apply(Op::kGreaterEqual, {x, Int(-40)})));
  ASSERT_EQ(all.size(), 12);
  for (int64_t i = 0; i < 12; ++i) EXPECT_EQ(Get(all, {i}), Get(a, {i / 3, i % 3}));
}

TEST(ComputeTest, OutputsMayOverlapInputs) {
  const View a = Ramp(Kind::kF64, {5000});
  const View before = array::CopyToNew(a, a.dtype()).value();
  const NodeRef x = FromArray(a);
  // a is written while the second operation still reads it.
  const NodeRef node =
      Apply(Op::kAdd, {Apply(Op::kMultiply, {Apply(Op::kAdd, {x, Float(1)}), Float(2)}), x});
  ASSERT_TRUE(ComputeAll({node}, {&a}).ok());
  for (int64_t i = 0; i < 5000; ++i) {
    ASSERT_EQ(Get(a, {i}), (Get(before, {i}) + 1) * 2 + Get(before, {i}));
  }
  // Shifted by one element.
  const View b = Ramp(Kind::kF64, {5000});
  View tail = b, head = b;
  tail.data += 8;
  tail.layout.shape[0] = head.layout.shape[0] = 4999;
  ASSERT_TRUE(ComputeAll({Apply(Op::kNegative, {FromArray(head)})}, {&tail}).ok());
  for (int64_t i = 1; i < 5000; ++i) {
    ASSERT_EQ(Get(b, {i}), -(static_cast<double>((i - 1) % 97) - 40));
  }
}

TEST(ComputeTest, TwoOutputsMustBeApart) {
  const View a = Ramp(Kind::kF64, {10});
  const View out = Ramp(Kind::kF64, {10});
  const NodeRef x = FromArray(a);
  const auto same =
      ComputeAll({Apply(Op::kNegative, {x}), Apply(Op::kAbsolute, {x})}, {&out, &out});
  ASSERT_FALSE(same.ok());
  EXPECT_EQ(same.status().code(), Code::kValue);
}

TEST(ComputeTest, BadExpressionsAreErrors) {
  const View a = Ramp(Kind::kF32, {4}), b = Ramp(Kind::kF32, {5}), c = Ramp(Kind::kU8, {4});
  const auto code = [](const NodeRef& node) {
    const auto results = ComputeAll({node});
    return results.ok() ? Code::kOk : results.status().code();
  };
  EXPECT_EQ(code(Apply(Op::kAdd, {FromArray(a), FromArray(b)})), Code::kValue);
  EXPECT_EQ(code(Apply(Op::kBitwiseAnd, {FromArray(a), FromArray(a)})), Code::kType);
  EXPECT_EQ(code(Apply(Op::kAdd, {FromArray(c), Int(300)})), Code::kOverflow);
  EXPECT_EQ(code(Apply(Op::kLess, {FromArray(c), Int(300)})), Code::kOk);
  EXPECT_EQ(code(FromColumn("t")), Code::kValue);
  View row = a, column = a;
  row.layout.shape = {1, int64_t{1} << 40};
  row.layout.strides = {0, 0};
  column.layout.shape = {int64_t{1} << 40, 1};
  column.layout.strides = {0, 0};
  EXPECT_EQ(code(Reduce(Reduction::kSum, Apply(Op::kAdd, {FromArray(row), FromArray(column)}))),
            Code::kValue);
  EXPECT_EQ(code(Filter(FromArray(a), FromArray(a))), Code::kType);
  EXPECT_EQ(code(Reduce(Reduction::kSum, FromArray(a), {{{1}}, false, 0})), Code::kValue);
  const View empty = Ramp(Kind::kF32, {0});
  EXPECT_EQ(code(Reduce(Reduction::kMin, FromArray(empty))), Code::kValue);
  EXPECT_EQ(code(Reduce(Reduction::kSum, FromArray(empty))), Code::kOk);
  const NodeRef x = FromArray(a);
  EXPECT_EQ(code(Reduce(Reduction::kMin, Filter(x, Apply(Op::kGreater, {x, Int(1000)})))),
            Code::kValue);
  const NodeRef other = Filter(x, Apply(Op::kLess, {x, Int(0)}));
  EXPECT_EQ(code(Apply(Op::kAdd, {Filter(x, Apply(Op::kGreater, {x, Int(0)})), other})),
            Code::kValue);
}

TEST(ComputeTest, LargeIntegersCompareExactly) {
  const View a = MakeView(DType(Kind::kI64), {2}), b = MakeView(DType(Kind::kU64), {2});
  const int64_t negative[] = {-1, std::numeric_limits<int64_t>::max()};
  const uint64_t large[] = {~uint64_t{0}, uint64_t{1} << 63};
  std::memcpy(a.data, negative, sizeof(negative));
  std::memcpy(b.data, large, sizeof(large));
  const View less = ComputeOne(Apply(Op::kLess, {FromArray(a), FromArray(b)}));
  EXPECT_EQ(Get(less, {0}), 1);
  EXPECT_EQ(Get(less, {1}), 1);
  const View equal = ComputeOne(Apply(Op::kEqual, {FromArray(b), FromArray(a)}));
  EXPECT_EQ(Get(equal, {1}), 0);
}

TEST(ComputeTest, DeepAndWideGraphs) {
  const View a = Ramp(Kind::kI64, {1000});
  NodeRef deep = FromArray(a);
  for (int i = 0; i < 100'000; ++i) deep = Apply(Op::kAdd, {deep, Int(1)});
  EXPECT_EQ(Get(ComputeOne(deep), {0}), 100'000 - 40);
  deep.reset();  // no recursion in the destructor either
  std::vector<NodeRef> many;
  for (int i = 0; i < 500; ++i) many.push_back(Apply(Op::kMultiply, {FromArray(a), Int(i)}));
  NodeRef wide = many[0];
  for (size_t i = 1; i < many.size(); ++i) wide = Apply(Op::kAdd, {many[i], wide});
  EXPECT_EQ(Get(ComputeOne(wide), {41}), 499.0 * 500 / 2);
}

TEST(ComputeTest, SameBitsForAnyNumberOfThreads) {
  const View a = Ramp(Kind::kF32, {1'000'003});
  const NodeRef x = Apply(Op::kSqrt, {Apply(Op::kAbsolute, {FromArray(a)})});
  const NodeRef node = Reduce(Reduction::kStd, Apply(Op::kMultiply, {x, Float(1.1)}));
  const int before = runtime::NumThreads();
  runtime::SetNumThreads(4);
  const double alone = Get(ComputeOne(node, {.threads = 1}), {});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Get(ComputeOne(node), {}), alone);
  runtime::SetNumThreads(before);
}

TEST(ComputeTest, ThreadsShareOneGraph) {
  const View a = Ramp(Kind::kF64, {100'000});
  const NodeRef x = FromArray(a);
  const NodeRef node = Apply(Op::kAdd, {Apply(Op::kMultiply, {x, Float(2)}), Float(1)});
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, own = node] {
      for (int i = 0; i < 10; ++i) {
        const NodeRef sum = Reduce(Reduction::kMax, own);
        if (Get(ComputeOne(sum), {}) == 56 * 2 + 1) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 80);
}

TEST(ComputationTest, ServesWhereverTheBytesLie) {
  const View a = Ramp(Kind::kF32, {1000}), b = Ramp(Kind::kF32, {1000});
  const View shorter = Ramp(Kind::kF32, {999}), wide = Ramp(Kind::kF64, {1000});
  const View out = Ramp(Kind::kF32, {1000});
  const NodeRef node = Apply(Op::kAdd, {Apply(Op::kMultiply, {FromColumn("x"), Int(2)}), Int(1)});
  const auto columns = [](const View& view) { return std::vector<Column>{{"x", &view}}; };
  const View* const no_place[] = {nullptr};
  const View* const places[] = {&out};
  const View* const itself[] = {&b};
  const auto computation = Computation::Make({node}, columns(a), {}).value();
  EXPECT_TRUE(computation->Serves(columns(b), {}));
  EXPECT_TRUE(computation->Serves(columns(b), no_place));
  EXPECT_FALSE(computation->Serves(columns(shorter), {}));
  EXPECT_FALSE(computation->Serves(columns(wide), {}));
  EXPECT_FALSE(computation->Serves({}, {}));
  EXPECT_FALSE(computation->Serves(columns(b), places));
  array::testing::Set(b, {7}, 100);
  EXPECT_EQ(Get(computation->Run(columns(b), {}).value()[0], {7}), 201);

  const auto placed = Computation::Make({node}, columns(a), places).value();
  EXPECT_TRUE(placed->Serves(columns(b), places));
  EXPECT_FALSE(placed->Serves(columns(b), itself));  // it would overwrite what it still reads
  EXPECT_FALSE(placed->Serves(columns(b), {}));
  const auto careful = Computation::Make({node}, columns(b), itself).value();
  EXPECT_TRUE(careful->Serves(columns(b), itself));
  ASSERT_TRUE(careful->Run(columns(b), itself).ok());
  EXPECT_EQ(Get(b, {7}), 201);
}

// A root of the first pass goes where a later pass still reads.
TEST(ComputationTest, EarlyOutputsDoNotChangeLaterPasses) {
  const View a = Ramp(Kind::kF64, {3000});
  const View before = array::CopyToNew(a, a.dtype()).value();
  const NodeRef x = FromArray(a);
  const NodeRef centered = Apply(Op::kSubtract, {x, Reduce(Reduction::kMean, x)});
  auto results = ComputeAll({Apply(Op::kMultiply, {x, Int(2)}), centered}, {&a, nullptr});
  ASSERT_TRUE(results.ok());
  double mean = 0;
  for (int64_t i = 0; i < 3000; ++i) mean += Get(before, {i}) / 3000;
  for (int64_t i = 0; i < 3000; ++i) {
    ASSERT_EQ(Get(a, {i}), 2 * Get(before, {i}));
    ASSERT_NEAR(Get(results.value()[1], {i}), Get(before, {i}) - mean, 1e-9);
  }
}

TEST(TextTest, SaysWhatWasWritten) {
  const NodeRef x = FromColumn("x");
  const NodeRef clip =
      Apply(Op::kClip, {Apply(Op::kMultiply, {Apply(Op::kSubtract, {x, Float(0.5)}), Float(3.46)}),
                        Int(-1), Int(1)});
  EXPECT_EQ(ToString(*Reduce(Reduction::kSum, clip)), "sum(clip((x - 0.5) * 3.46, -1, 1))");
  EXPECT_EQ(ToString(*Filter(Cast(x, Kind::kF32), FromColumn("m"))), "x.astype(float32)[m]");
  EXPECT_EQ(ColumnsOf(*Apply(Op::kAdd, {FromColumn("b"), Apply(Op::kAdd, {x, FromColumn("b")})})),
            (std::vector<std::string>{"b", "x"}));
}

}  // namespace
}  // namespace spanflow::expr
