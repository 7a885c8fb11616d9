#include "array/reduce.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "../reduction_reference.h"
#include "array/create.h"
#include "array/fold.h"
#include "array/promote.h"
#include "runtime/pool.h"
#include "testing.h"

namespace spanflow::array {
namespace {

using base::Code;
using base::Dims;
using base::DType;
using base::Kind;
using simd::Reduction;
using spanflow::testing::Reference;
using testing::Get;
using testing::MakeView;
using testing::Random;

// All but products, which leave the range of every dtype.
const std::vector<Reduction> kAll = [] {
  std::vector<Reduction> all;
  for (int i = 0; i < simd::kNumReductions; ++i) {
    const auto reduction = static_cast<Reduction>(i);
    if (reduction != Reduction::kProd && reduction != Reduction::kNanProd) all.push_back(reduction);
  }
  return all;
}();

// The elements of each result, in the order of the results' indices.
std::vector<std::vector<double>> Groups(const View& in, const AxisSet& reduced) {
  const Dims kept = ReducedShape(in.layout.shape, reduced, false);
  int64_t count = 1;
  for (int64_t extent : kept) count *= extent;
  std::vector<std::vector<double>> groups(static_cast<size_t>(count));
  testing::ForEachIndex(in.layout.shape, [&](const Dims& index) {
    int64_t group = 0;
    for (int i = 0, k = 0; i < index.size(); ++i) {
      if (!reduced[static_cast<size_t>(i)]) group = group * kept[k++] + index[i];
    }
    groups[static_cast<size_t>(group)].push_back(Get(in, index));
  });
  return groups;
}

double Tolerance(Kind kind) {
  switch (kind) {
    case Kind::kF16:
      return 2e-3;
    case Kind::kBF16:
      return 1.6e-2;
    case Kind::kF32:
    case Kind::kC64:
      return 1e-6;
    default:
      return 1e-12;
  }
}

Kind SomeKind(Random& random, Reduction reduction) {
  while (true) {
    const Kind kind = random.AnyKind();
    if (simd::Contains(simd::InfoOf(reduction).kinds, ComputeKind(kind))) return kind;
  }
}

AxisSet SomeAxes(Random& random, int ndim) {
  AxisSet axes;
  for (int i = 0; i < ndim; ++i) axes[static_cast<size_t>(i)] = random.Chance(55);
  return axes;
}

// `groups` are those of `in` and `axes`.
void CheckReduce(Random& random, Reduction reduction, const View& in, const AxisSet& axes,
                 const std::vector<std::vector<double>>& groups, const DType& out_type,
                 bool keepdims) {
  const View out = RandomView(random, out_type, ReducedShape(in.layout.shape, axes, keepdims));
  const testing::Guard guard(out);
  const base::Status status = Reduce(reduction, in, axes, {}, out);
  const std::string what = std::string(simd::InfoOf(reduction).name) + " " + in.dtype().ToString() +
                           ToString(in.layout.shape) + ToString(in.layout.strides) + " axes " +
                           axes.to_string().substr(64 - 5) + " -> " + out_type.ToString();
  ASSERT_TRUE(status.ok()) << status.message() << what;
  // The kernel rounds to the operand's kind (f16 computes as f32) before the output does.
  const Kind rounded = simd::ResultKind(reduction, ComputeKind(in.dtype().kind()));
  const double tolerance = std::max(Tolerance(out_type.kind()), Tolerance(rounded));
  size_t g = 0;
  testing::ForEachIndex(out.layout.shape, [&](const Dims& index) {
    const double expected =
        testing::CastSmall(Reference(reduction, groups[g++], 0), out_type.kind());
    const double got = Get(out, index);
    const double allowed = std::fabs(expected) * tolerance + 1e-9;
    if (std::isnan(expected) && std::isnan(got)) return;  // the skewness of equal elements
    ASSERT_LE(std::fabs(got - expected), allowed) << what << " " << got << " for " << expected;
  });
  ASSERT_TRUE(guard.OnlyElementsChanged()) << what;
}

TEST(ReduceTest, AnyAxesOfAnyLayout) {
  Random random(41);
  for (int trial = 0; trial < testing::Trials(1500); ++trial) {
    const Reduction reduction = random.Among(kAll);
    const Kind kind = SomeKind(random, reduction);
    const bool swapped = base::InfoOf(kind).swap_unit > 1 && random.Chance(30);
    Dims shape = testing::RandomShape(random, 4);
    for (int64_t& extent : shape) extent = std::max<int64_t>(extent, 1);
    const View in = RandomView(random, DType(kind, swapped), shape, {.repeat = true});
    testing::FillSmall(random, in, random.Chance(20) ? 1 : 0);
    DType out_type(ResolveReduction(reduction, kind).value());
    if (random.Chance(30)) out_type = DType(Kind::kF64, random.Chance(50));
    const AxisSet axes = SomeAxes(random, shape.size());
    CheckReduce(random, reduction, in, axes, Groups(in, axes), out_type, random.Chance(30));
    if (HasFailure()) return;
  }
}

// Shapes for which each of the methods is chosen, larger than a grain and a stripe.
TEST(ReduceTest, LargeShapes) {
  Random random(42);
  struct Case {
    Dims shape;
    std::vector<size_t> axes;
  };
  const std::vector<Case> cases = {
      {{3, 70001}, {1}},    {{3, 70001}, {0}},       {{70001, 3}, {0}},
      {{70001, 3}, {1}},    {{300, 1500}, {0}},      {{300, 1500}, {1}},
      {{40, 50, 60}, {1}},  {{40, 50, 60}, {0, 2}},  {{40, 50, 60}, {0, 1}},
      {{2000, 2, 30}, {0}}, {{2000, 2, 30}, {0, 2}}, {{5, 4, 3, 2000}, {1, 3}},
      {{200, 600, 2}, {0}}, {{60, 100, 3}, {0, 1}},  {{500, 7}, {0}},
      {{200, 2, 600}, {0}}, {{2, 130000}, {1}}};
  for (const Case& c : cases) {
    for (const DType& dtype :
         {DType(Kind::kF32), DType(Kind::kF32, true), DType(Kind::kU8), DType(Kind::kF16)}) {
      for (bool any_layout : {false, true}) {
        const View in = any_layout ? RandomView(random, dtype, c.shape) : MakeView(dtype, c.shape);
        testing::FillSmall(random, in);
        AxisSet axes;
        for (size_t axis : c.axes) axes.set(axis);
        const auto groups = Groups(in, axes);  // once: this is what takes the time
        for (Reduction reduction :
             {Reduction::kSum, Reduction::kMax, Reduction::kVar, Reduction::kArgMax}) {
          CheckReduce(random, reduction, in, axes, groups, DType(Kind::kF64), false);
          if (HasFailure()) return;
        }
      }
    }
  }
}

// Not one bit may depend on how many threads worked.
TEST(ReduceTest, SameResultsForAnyNumberOfThreads) {
  Random random(43);
  const int before = runtime::NumThreads();
  std::normal_distribution<float> normal(0.3F, 1000.0F);
  for (const Dims& shape :
       {Dims{1500001}, {3, 500000}, {500000, 3}, {1200, 1300}, {90, 17, 1000}}) {
    const View in = MakeView(DType(Kind::kF32), shape);
    auto* values = reinterpret_cast<float*>(in.data);
    for (int64_t i = 0; i < in.size(); ++i) values[i] = normal(random.engine());
    for (int first = 0; first <= shape.size(); ++first) {
      AxisSet axes =
          first == shape.size() ? AllAxes(first) : AxisSet().set(static_cast<size_t>(first));
      for (Reduction reduction :
           {Reduction::kSum, Reduction::kMean, Reduction::kVar, Reduction::kNanMean}) {
        std::vector<View> results;
        for (int threads : {1, 2, 3, 8}) {
          runtime::SetNumThreads(threads);
          results.push_back(Empty(DType(Kind::kF32), ReducedShape(shape, axes, false)).value());
          ASSERT_TRUE(Reduce(reduction, in, axes, {}, results.back()).ok());
          ASSERT_EQ(std::memcmp(results[0].data, results.back().data,
                                static_cast<size_t>(results[0].layout.nbytes())),
                    0);
        }
      }
    }
  }
  runtime::SetNumThreads(before);
}

// The same numbers as one row, as rows and as columns, C and Fortran order: what leaves the range
// of float32 on the way must not depend on the way.
TEST(ReduceTest, SameResultsForAnyLayout) {
  for (const double scale : {3e38, 1e30, 1e-25}) {
    const int64_t rows = 300, columns = 40;
    const View flat = MakeView(DType(Kind::kF32), {rows * columns});
    float* const items = reinterpret_cast<float*>(flat.data);
    for (int64_t i = 0; i < rows * columns; ++i) {
      const double share = static_cast<double>(i % 7 - 3) / 3;
      items[i] = static_cast<float>(scale * share);
    }
    View table = flat;
    table.layout = base::Layout::Contiguous(DType(Kind::kF32), {rows, columns}).value();
    View turned = table;
    std::swap(turned.layout.shape[0], turned.layout.shape[1]);
    std::swap(turned.layout.strides[0], turned.layout.strides[1]);
    for (const Reduction reduction : {Reduction::kMean, Reduction::kVar, Reduction::kStd}) {
      const View one = MakeView(DType(Kind::kF32), {});
      ASSERT_TRUE(Reduce(reduction, flat, AllAxes(1), {}, one).ok());
      const View by_column = MakeView(DType(Kind::kF32), {columns});
      const View again = MakeView(DType(Kind::kF32), {columns});
      AxisSet first, second;
      first.set(0);
      second.set(1);
      ASSERT_TRUE(Reduce(reduction, table, first, {}, by_column).ok());
      ASSERT_TRUE(Reduce(reduction, turned, second, {}, again).ok());
      for (int64_t c = 0; c < columns; ++c) {
        std::vector<double> column;
        for (int64_t r = 0; r < rows; ++r) column.push_back(double{items[r * columns + c]});
        // The variance of such numbers may be infinity or 0 as float32.
        const double wanted = double{static_cast<float>(Reference(reduction, column, 0))};
        const double size = reduction == Reduction::kMean ? scale : wanted;
        if (std::isinf(wanted)) continue;
        EXPECT_NEAR(Get(by_column, {c}), wanted, 1e-6 * size) << scale;
        EXPECT_NEAR(Get(again, {c}), wanted, 1e-6 * size) << scale;
      }
      EXPECT_TRUE(std::isfinite(Get(one, {})) || scale * scale > 3e38) << scale;
    }
  }
}

// What nothing can change any more is not read on: here it could not be.
TEST(ReduceTest, AnyStopsAtTheFirst) {
  const int64_t page = 4096, readable = 256 * page;
  void* const memory = mmap(nullptr, static_cast<size_t>(2 * readable), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  View in = MakeView(DType(Kind::kBool), {1});
  in.data = static_cast<std::byte*>(memory);
  in.block = {};
  in.layout = base::Layout::Contiguous(DType(Kind::kBool), {2 * readable}).value();
  in.data[readable - 1] = std::byte{1};
  ASSERT_EQ(mprotect(in.data + readable, static_cast<size_t>(readable), PROT_NONE), 0);
  const View out = MakeView(DType(Kind::kBool), {});
  ASSERT_TRUE(Reduce(Reduction::kAny, in, AllAxes(1), {}, out, {.threads = 1}).ok());
  EXPECT_EQ(Get(out, {}), 1);
  munmap(memory, static_cast<size_t>(2 * readable));
}

TEST(FoldTest, PartialResultsAreMergedInOrder) {
  const int64_t tasks = 10'007;  // more than are kept at a time
  std::vector<int64_t> seen;
  const auto fold = [](int64_t task, simd::Accumulator* partial) {
    std::memcpy(partial[1].bytes, &task, sizeof(task));
  };
  const auto merge = [&](int64_t task, const simd::Accumulator* partial) {
    int64_t folded;
    std::memcpy(&folded, partial[1].bytes, sizeof(folded));
    EXPECT_EQ(folded, task);
    seen.push_back(task);
  };
  FoldInOrder(tasks, 3, 2, fold, merge, {});
  ASSERT_EQ(seen.size(), static_cast<size_t>(tasks));
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST(ReduceTest, NothingToReduce) {
  const View empty = MakeView(DType(Kind::kF32), {0, 3});
  const View three = MakeView(DType(Kind::kF32), {3}), one = MakeView(DType(Kind::kF32), {});
  const View none = MakeView(DType(Kind::kF32), {0});
  ASSERT_TRUE(Reduce(Reduction::kSum, empty, AxisSet(1), {}, three).ok());
  EXPECT_EQ(Get(three, {2}), 0);
  ASSERT_TRUE(Reduce(Reduction::kMean, empty, AllAxes(2), {}, one).ok());
  EXPECT_TRUE(std::isnan(Get(one, {})));
  EXPECT_TRUE(Reduce(Reduction::kMin, empty, AxisSet(2), {}, none).ok());  // no results, no error
  for (const View& out : {three, one}) {
    const AxisSet axes = out.ndim() == 1 ? AxisSet(1) : AllAxes(2);
    EXPECT_EQ(Reduce(Reduction::kMin, empty, axes, {}, out).message(),
              "zero-size array to reduction operation min which has no identity");
  }
  EXPECT_EQ(ReduceMany(std::array{Reduction::kMin}, empty, 0, {&one, 1}).code(), Code::kValue);
}

TEST(ReduceTest, OutputsThatOverlapTheInput) {
  Random random(44);
  const View in = MakeView(DType(Kind::kF64), {50, 60});
  testing::FillSmall(random, in);
  const std::vector<std::vector<double>> groups = Groups(in, AxisSet(1));
  const View out = in.With({in.dtype(), {60}, {8}}, 60 * 8 * 3);
  ASSERT_TRUE(Reduce(Reduction::kSum, in, AxisSet(1), {}, out).ok());
  for (int64_t i = 0; i < 60; ++i) {
    ASSERT_EQ(Get(out, {i}), Reference(Reduction::kSum, groups[static_cast<size_t>(i)], 0));
  }
}

TEST(ReduceTest, BadOutputs) {
  const View in = MakeView(DType(Kind::kC64), {2, 3});
  const View out = MakeView(DType(Kind::kC64), {3});
  EXPECT_EQ(Reduce(Reduction::kMin, in, AxisSet(1), {}, out).code(), Code::kType);
  const base::Status status = Reduce(Reduction::kSum, in, AxisSet(2), {}, out);
  EXPECT_EQ(status.code(), Code::kValue);
  EXPECT_NE(status.message().find("(2,)"), std::string::npos);
  EXPECT_EQ(Reduce(Reduction::kSum, in, AxisSet(1), {}, MakeView(DType::Bytes(3), {3})).code(),
            Code::kType);
  View readonly = out;
  readonly.readonly = true;
  EXPECT_EQ(Reduce(Reduction::kSum, in, AxisSet(1), {}, readonly).code(), Code::kValue);
}

TEST(ReduceManyTest, OnePassGivesWhatEachAloneGives) {
  Random random(45);
  for (int trial = 0; trial < testing::Trials(60); ++trial) {
    const Kind kind =
        random.Among(std::vector<Kind>{Kind::kF32, Kind::kF64, Kind::kI32, Kind::kF16});
    const Dims shape =
        random.Chance(50) ? Dims{random.Pick(1, 200000)} : Dims{300, random.Pick(1, 700)};
    const View in = RandomView(random, DType(kind, random.Chance(30)), shape);
    testing::FillSmall(random, in);
    std::vector<Reduction> reductions = kAll;
    std::shuffle(reductions.begin(), reductions.end(), random.engine());
    std::vector<View> outs;
    for (Reduction reduction : reductions) {
      outs.push_back(MakeView(DType(ResolveReduction(reduction, kind).value()), {}));
    }
    ASSERT_TRUE(ReduceMany(reductions, in, 1, outs).ok());
    const std::vector<double> values = Groups(in, AllAxes(in.ndim()))[0];
    for (size_t i = 0; i < outs.size(); ++i) {
      if (values.size() < 2) continue;
      const double expected = Reference(reductions[i], values, 1);
      if (kind == Kind::kF16 && expected > 65504) continue;
      EXPECT_LE(std::fabs(Get(outs[i], {}) - expected),
                std::fabs(expected) * Tolerance(outs[i].dtype().kind()) + 1e-9)
          << simd::InfoOf(reductions[i]).name;
    }
  }
}

TEST(ReduceManyTest, PiecesGiveWhatTheWholeGives) {
  Random random(46);
  const View whole = MakeView(DType(Kind::kF64), {10000});
  testing::FillSmall(random, whole, -100, 100);
  std::vector<simd::Accumulator> total(kAll.size()), second(kAll.size());
  ASSERT_TRUE(InitAccumulators(kAll, Kind::kF64, total).ok());
  ASSERT_TRUE(InitAccumulators(kAll, Kind::kF64, second).ok());
  const auto piece = [&](int64_t begin, int64_t end) {
    return whole.With({whole.dtype(), {end - begin}, {8}}, begin * 8);
  };
  ASSERT_TRUE(Accumulate(kAll, piece(0, 100), total).ok());
  ASSERT_TRUE(Accumulate(kAll, piece(100, 100), total).ok());  // nothing
  ASSERT_TRUE(Accumulate(kAll, piece(100, 7000), total).ok());
  ASSERT_TRUE(Accumulate(kAll, piece(7000, 10000), second).ok());
  ASSERT_TRUE(MergeAccumulators(kAll, Kind::kF64, total, second).ok());
  std::vector<View> outs;
  for (Reduction reduction : kAll) {
    outs.push_back(MakeView(DType(ResolveReduction(reduction, Kind::kF64).value()), {1}));
  }
  ASSERT_TRUE(FinishAccumulators(kAll, Kind::kF64, total, 10000, 0, outs).ok());
  const std::vector<double> values = Groups(whole, AllAxes(1))[0];
  for (size_t i = 0; i < outs.size(); ++i) {
    const double expected = Reference(kAll[i], values, 0);
    EXPECT_NEAR(Get(outs[i], {0}), expected, std::fabs(expected) * 1e-12 + 1e-9);
  }
  EXPECT_EQ(Accumulate(kAll, whole, std::span(total).first(2)).code(), Code::kValue);
}

}  // namespace
}  // namespace spanflow::array
