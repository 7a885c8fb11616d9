#include "array/elementwise.h"

#include <gtest/gtest.h>

#include <functional>

#include "array/create.h"
#include "array/promote.h"
#include "runtime/pool.h"
#include "testing.h"

namespace spanflow::array {
namespace {

using base::Code;
using base::Dims;
using base::DType;
using base::Kind;
using simd::Op;
using testing::ElementwiseOf;
using testing::Get;
using testing::MakeView;
using testing::Random;

// What small whole numbers give, exactly, in every kind.
double Apply(Op op, Kind kind, const std::vector<double>& x) {
  const bool is_bool = kind == Kind::kBool;
  switch (op) {
    case Op::kAdd:
      return is_bool ? std::min(x[0] + x[1], 1.0) : x[0] + x[1];
    case Op::kMultiply:
      return x[0] * x[1];
    case Op::kMinimum:
      return std::min(x[0], x[1]);
    case Op::kMaximum:
      return std::max(x[0], x[1]);
    case Op::kClip:
      return std::min(std::max(x[0], x[1]), x[2]);
    case Op::kAbsolute:
      return std::fabs(x[0]);
    case Op::kEqual:
      return x[0] == x[1];
    case Op::kLess:
      return x[0] < x[1];
    case Op::kGreaterEqual:
      return x[0] >= x[1];
    case Op::kBitwiseXor:
      return static_cast<double>(static_cast<int64_t>(x[0]) ^ static_cast<int64_t>(x[1]));
    case Op::kWhere:
      return x[0] != 0 ? x[1] : x[2];
    default:
      ADD_FAILURE();
      return 0;
  }
}

const std::vector<Op> kTried = {Op::kAdd,          Op::kMultiply,   Op::kMinimum, Op::kMaximum,
                                Op::kClip,         Op::kAbsolute,   Op::kEqual,   Op::kLess,
                                Op::kGreaterEqual, Op::kBitwiseXor, Op::kWhere};

Kind SomeCompute(Random& random, Op op) {
  while (true) {
    const Kind kind = random.AnyKind();
    if (simd::Contains(simd::InfoOf(op).kinds, kind)) return kind;
  }
}

// A shape that broadcasts to `shape`.
Dims Narrowed(Random& random, const Dims& shape) {
  Dims narrow;
  const int first = random.Chance(20) ? static_cast<int>(random.Pick(0, shape.size())) : 0;
  for (int i = first; i < shape.size(); ++i) narrow.push_back(random.Chance(15) ? 1 : shape[i]);
  return narrow;
}

std::vector<double> Reference(Op op, Kind compute, const std::vector<View>& in, const View& out) {
  std::vector<double> values;
  testing::ForEachIndex(out.layout.shape, [&](const Dims& index) {
    std::vector<double> x;
    for (const View& view : in) {
      const bool condition = op == Op::kWhere && x.empty();
      x.push_back(testing::CastSmall(Get(view, index), condition ? Kind::kBool : compute));
    }
    values.push_back(testing::CastSmall(Apply(op, compute, x), out.dtype().kind()));
  });
  return values;
}

void ExpectValues(const View& out, const std::vector<double>& expected, const std::string& what) {
  size_t i = 0;
  bool same = true;
  testing::ForEachIndex(out.layout.shape, [&](const Dims& index) {
    const double got = Get(out, index);
    if (same && got != expected[i]) {
      same = false;
      ADD_FAILURE() << what << " at " << ToString(index) << ": " << got << " for " << expected[i];
    }
    ++i;
  });
}

std::string Describe(Op op, Kind compute, const std::vector<View>& in, const View& out) {
  std::string text = std::string(simd::InfoOf(op).name) + " in " + DType(compute).Name();
  for (const View& view : in) {
    text +=
        " " + view.dtype().ToString() + ToString(view.layout.shape) + ToString(view.layout.strides);
  }
  return text + " -> " + out.dtype().ToString() + ToString(out.layout.shape) +
         ToString(out.layout.strides);
}

TEST(ElementwiseTest, AnyLayoutsOrdersAndDtypes) {
  Random random(21);
  for (int trial = 0; trial < testing::Trials(1500); ++trial) {
    const Op op = random.Among(kTried);
    const Kind compute = SomeCompute(random, op);
    const Dims shape = testing::RandomShape(random, 4);
    std::vector<View> in;
    for (int i = 0; i < simd::InfoOf(op).arity; ++i) {
      const DType dtype = random.Chance(40) ? DType(compute) : random.AnyDType();
      in.push_back(RandomView(random, dtype, Narrowed(random, shape), {.repeat = true}));
      testing::FillSmall(random, in.back());
    }
    const DType out_type = random.Chance(50) ? DType(KernelResult(op, compute)) : random.AnyDType();
    const View out = RandomView(random, out_type, shape);
    const std::vector<double> expected = Reference(op, compute, in, out);
    const testing::Guard guard(out);
    const auto status = ElementwiseOf(op, in, compute, out);
    ASSERT_TRUE(status.ok()) << status.message();
    const std::string what = Describe(op, compute, in, out);
    ExpectValues(out, expected, what);
    ASSERT_TRUE(guard.OnlyElementsChanged()) << what;
    if (HasFailure()) return;
  }
}

// Inputs and output anywhere in one buffer: as if every input had been read first.
TEST(ElementwiseTest, OverlapOfAnyKind) {
  Random random(22);
  const std::vector<Kind> kinds = {Kind::kU8, Kind::kI16, Kind::kF32, Kind::kF64};
  for (int trial = 0; trial < testing::Trials(1500); ++trial) {
    const View buffer = MakeView(DType(Kind::kU8), {random.Chance(30) ? 60000 : 4000});
    const DType common(random.Among(kinds), random.Chance(20));
    const Dims shape = random.Chance(50) ? Dims{random.Pick(1, 300)}
                                         : Dims{random.Pick(1, 12), random.Pick(1, 12)};
    const auto place = [&](const View* like) {
      const DType dtype = random.Chance(70) ? common : DType(random.Among(kinds));
      base::Layout layout{dtype, shape, {}};
      int64_t step = dtype.itemsize();
      int64_t first = 0;
      for (int i = 0; i < shape.size(); ++i) {
        const int axis = shape.size() - 1 - i;
        layout.strides.resize(shape.size());
        layout.strides[axis] = step * (random.Chance(80) ? 1 : -1);
        if (layout.strides[axis] < 0) first -= (shape[axis] - 1) * layout.strides[axis];
        step *= shape[axis] + random.Pick(0, 1);
      }
      if (shape.size() == 2 && shape[0] == shape[1] && random.Chance(40)) {
        std::swap(layout.strides[0], layout.strides[1]);
      }
      if (like != nullptr && random.Chance(30))
        return buffer.With(like->layout, like->data - buffer.data);
      return buffer.With(layout, first + random.Pick(0, 5) * common.itemsize());
    };
    const View out = place(nullptr);
    const std::vector<View> in = {place(&out), place(&out)};
    // Every element of every view must be small, so small numbers are laid into the bytes first.
    for (const View& view : in) {
      std::memset(buffer.data, 0, static_cast<size_t>(buffer.size()));
      testing::FillSmall(random, view);
    }
    bool small = true;
    for (const View& view : in) {
      testing::ForEachIndex(shape, [&](const Dims& index) {
        const double value = Get(view, index);
        if (!(value >= 0 && value <= 11) || value != std::floor(value)) small = false;
      });
    }
    if (!small) continue;  // two dtypes over the same bytes
    const std::vector<double> expected = Reference(Op::kAdd, common.kind(), in, out);
    const testing::Guard guard(out);
    const auto status = ElementwiseOf(Op::kAdd, in, common.kind(), out);
    ASSERT_TRUE(status.ok()) << status.message();
    const std::string what = Describe(Op::kAdd, common.kind(), in, out);
    ExpectValues(out, expected, what);
    ASSERT_TRUE(guard.OnlyElementsChanged()) << what;
    if (HasFailure()) return;
  }
}

TEST(ElementwiseTest, ColumnsOfOneRecordArrayInPlace) {
  const View bytes = MakeView(DType(Kind::kU8), {3000 * 12});
  const auto column = [&](int64_t offset) {
    return bytes.With({DType(Kind::kF32), {3000}, {12}}, offset);
  };
  Random random(23);
  const std::vector<View> in = {column(4), column(8)};
  for (const View& view : in) testing::FillSmall(random, view);
  const View out = column(0);
  const std::vector<double> expected = Reference(Op::kMultiply, Kind::kF32, in, out);
  ASSERT_TRUE(ElementwiseOf(Op::kMultiply, in, Kind::kF32, out).ok());
  ExpectValues(out, expected, "columns");
}

TEST(ElementwiseTest, SixtyFourDimensions) {
  Dims shape(64, 1);
  shape[0] = 3;
  shape[31] = 2;
  shape[63] = 5;
  Random random(24);
  const View out = RandomView(random, DType(Kind::kI32, true), shape);
  std::vector<View> in = {RandomView(random, DType(Kind::kI32), shape),
                          MakeView(DType(Kind::kI8), {5})};
  for (const View& view : in) testing::FillSmall(random, view);
  const std::vector<double> expected = Reference(Op::kAdd, Kind::kI32, in, out);
  ASSERT_TRUE(ElementwiseOf(Op::kAdd, in, Kind::kI32, out).ok());
  ExpectValues(out, expected, "64 dimensions");
}

TEST(ElementwiseTest, SignedAndUnsigned64BitsCompareExactly) {
  const View s = MakeView(DType(Kind::kI64), {6}), u = MakeView(DType(Kind::kU64, true), {6});
  const int64_t signed_values[] = {-1, INT64_MAX, INT64_MAX, 0, INT64_MIN, 5};
  const uint64_t unsigned_values[] = {UINT64_MAX, uint64_t{1} << 63, INT64_MAX, 0, 0, 4};
  for (int i = 0; i < 6; ++i) {
    std::memcpy(s.data + i * 8, &signed_values[i], 8);
    const uint64_t swapped = __builtin_bswap64(unsigned_values[i]);
    std::memcpy(u.data + i * 8, &swapped, 8);
  }
  const auto run = [&](Op op, const View& a, const View& b) {
    const View out = MakeView(DType(Kind::kBool), {6});
    const View in[] = {a, b};
    EXPECT_TRUE(ElementwiseOf(op, in, Kind::kF64, out).ok());
    std::string text;
    for (int i = 0; i < 6; ++i) text += Get(out, {i}) != 0 ? '1' : '0';
    return text;
  };
  EXPECT_EQ(run(Op::kLess, s, u), "110010");
  EXPECT_EQ(run(Op::kLessEqual, s, u), "111110");
  EXPECT_EQ(run(Op::kGreater, s, u), "000001");
  EXPECT_EQ(run(Op::kGreaterEqual, s, u), "001101");
  EXPECT_EQ(run(Op::kEqual, s, u), "001100");
  EXPECT_EQ(run(Op::kNotEqual, s, u), "110011");
  EXPECT_EQ(run(Op::kGreater, u, s), "110010");
  EXPECT_EQ(run(Op::kLess, u, s), "000001");
}

TEST(ElementwiseTest, ThreadsDoNotChangeAnything) {
  Random random(25);
  const Dims shape = {700, 1001};
  std::vector<View> in = {RandomView(random, DType(Kind::kF32, true), shape),
                          MakeView(DType(Kind::kF32), shape)};
  for (const View& view : in) testing::FillSmall(random, view);
  const View strided = RandomView(random, DType(Kind::kF64), shape);
  const View dense = MakeView(DType(Kind::kF32), shape);
  const int before = runtime::NumThreads();
  runtime::SetNumThreads(4);
  for (const View& out : {strided, dense}) {
    for (const std::vector<View>& operands : {in, std::vector<View>{in[1], in[1]}}) {
      const std::vector<double> expected = Reference(Op::kAdd, Kind::kF32, operands, out);
      for (int threads : {1, 2, 0}) {
        ASSERT_TRUE(ElementwiseOf(Op::kAdd, operands, Kind::kF32, out, {threads}).ok());
        ExpectValues(out, expected, "threads");
      }
    }
  }
  runtime::SetNumThreads(before);
}

TEST(ElementwiseTest, LargeOutputsAreStreamed) {
  const Dims shape = {12 << 20};  // 48 MiB: more than most last-level caches
  const View a = Empty(DType(Kind::kF32), shape).value(),
             out = Empty(DType(Kind::kF32), shape).value();
  auto* values = reinterpret_cast<float*>(a.data);
  for (int64_t i = 0; i < a.size(); ++i) values[i] = static_cast<float>(i & 1023);
  const View scalar = MakeView(DType(Kind::kF64), {});
  testing::Set(scalar, {}, 3);
  const View both[] = {a, a}, mixed[] = {a, scalar};
  ASSERT_TRUE(ElementwiseOf(Op::kAdd, both, Kind::kF32, out).ok());
  const auto* sums = reinterpret_cast<const float*>(out.data);
  int64_t wrong = 0;
  for (int64_t i = 0; i < a.size(); ++i) wrong += sums[i] != static_cast<float>(2 * (i & 1023));
  EXPECT_EQ(wrong, 0);
  ASSERT_TRUE(ElementwiseOf(Op::kAdd, mixed, Kind::kF32, out).ok());
  for (int64_t i = 0; i < a.size(); ++i) wrong += sums[i] != static_cast<float>((i & 1023) + 3);
  EXPECT_EQ(wrong, 0);
}

Code CodeOf(const base::Status& status) { return status.code(); }

TEST(ElementwiseTest, BadOperands) {
  const View a = MakeView(DType(Kind::kF32), {3}), b = MakeView(DType(Kind::kF32), {4});
  const View record = MakeView(DType::Bytes(4), {3});
  const View two[] = {a, a}, mismatch[] = {a, b}, odd[] = {a, record}, one[] = {a};
  View readonly = a;
  readonly.readonly = true;
  EXPECT_EQ(CodeOf(ElementwiseOf(Op::kAdd, mismatch, Kind::kF32, a)), Code::kValue);
  EXPECT_EQ(CodeOf(ElementwiseOf(Op::kAdd, two, Kind::kF32, b)), Code::kValue);
  EXPECT_EQ(CodeOf(ElementwiseOf(Op::kAdd, odd, Kind::kF32, a)), Code::kType);
  EXPECT_EQ(CodeOf(ElementwiseOf(Op::kAdd, one, Kind::kF32, a)), Code::kType);
  EXPECT_EQ(CodeOf(ElementwiseOf(Op::kAdd, two, Kind::kF32, readonly)), Code::kValue);
  EXPECT_EQ(CodeOf(ElementwiseOf(Op::kAdd, two, Kind::kF16, a)), Code::kType);
  const View empty = MakeView(DType(Kind::kF32), {0, 3});
  EXPECT_EQ(CodeOf(ElementwiseOf(Op::kAdd, mismatch, Kind::kF32, empty)), Code::kValue);
  EXPECT_TRUE(ElementwiseOf(Op::kAdd, two, Kind::kF32, empty).ok());
}

}  // namespace
}  // namespace spanflow::array
