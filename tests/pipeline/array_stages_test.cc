// Arrays through the pipeline: rows as views, operations with constants and aligned arrays, masks,
// reductions that do not depend on the number of threads, and the memory that chunks hold.

#include "pipeline/array_stages.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>

#include "array/create.h"
#include "memory/mapped_file.h"
#include "numbers.h"
#include "pipeline/rows_source.h"

namespace spanflow::pipeline {
namespace {

using array::View;
using base::Dims;
using base::DType;
using base::Kind;
using simd::Op;
using simd::Reduction;

template <class T>
View Make(Kind kind, const Dims& shape, const std::vector<T>& values) {
  View view = *array::Empty(DType(kind), shape);
  if (!values.empty()) std::memcpy(view.data, values.data(), values.size() * sizeof(T));
  return view;
}

View Floats(const Dims& shape) {
  int64_t n = 1;
  for (int64_t size : shape) n *= size;
  std::vector<float> values;
  std::minstd_rand random(7);
  for (int64_t i = 0; i < n; ++i) {
    values.push_back(static_cast<float>(random() % 10000) / 10.0F - 400.0F);
  }
  return Make(Kind::kF32, shape, values);
}

template <class T>
std::vector<T> Values(const View& view) {
  EXPECT_TRUE(view.layout.c_contiguous());
  std::vector<T> values(static_cast<size_t>(view.size()));
  std::memcpy(values.data(), view.data, values.size() * sizeof(T));
  return values;
}

std::shared_ptr<const Source> Rows(View view, int64_t rows) {
  return *RowsSource::Make({{std::move(view), nullptr}}, rows, {});
}

Operand Number64(double value) { return {Scalar(value)}; }
Operand Whole(int64_t value) { return {Scalar(value)}; }
Operation Apply(Op op, std::vector<Operand> operands = {}) {
  return Operation(Elementwise{op, std::move(operands)});
}

struct Result {
  std::vector<std::unique_ptr<Chunk>> chunks;
  std::string error;
  RunStats stats;
};

Result RunAll(const Pipeline& pipeline, RunOptions options = {2}) {
  Result result;
  auto run = StartOrDie(pipeline, options);
  Caller caller;
  for (;;) {
    Delivery delivery = run->Next(caller);
    if (delivery.kind == Delivery::Kind::kFailed) result.error = delivery.error->status.message();
    if (delivery.kind != Delivery::Kind::kItem) break;
    EXPECT_NE(delivery.item->AsChunk(), nullptr);
    result.chunks.emplace_back(static_cast<Chunk*>(delivery.item.release()));
  }
  result.stats = run->Stats();
  return result;
}

const View& Only(const Result& result) {
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.chunks.size(), 1u);
  return (*result.chunks.at(0))[0].view;
}

TEST(RowsSource, GivesViewsOfConsecutiveRows) {
  const View a = Floats({10, 3});
  const Result result = RunAll({Rows(a, 4), {}});
  ASSERT_EQ(result.chunks.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    const Chunk& chunk = *result.chunks[static_cast<size_t>(i)];
    EXPECT_EQ(chunk[0].view.data, a.data + i * 4 * 12);
    EXPECT_EQ(chunk[0].view.layout.shape, (Dims{i == 2 ? 2 : 4, 3}));
    EXPECT_EQ(chunk.first_row, 4 * i);
  }
}

TEST(RowsSource, RefusesWhatItCannotCut) {
  const auto make = [](std::vector<Part> parts, int64_t rows) {
    return RowsSource::Make(std::move(parts), rows, {});
  };
  EXPECT_FALSE(make({{Floats({}), nullptr}}, 1).ok());
  EXPECT_FALSE(make({{Floats({2}), nullptr}}, -1).ok());
  EXPECT_FALSE(make({}, 1).ok());
  const auto two = make({{Floats({4}), nullptr}, {Floats({5}), nullptr}}, 1);
  ASSERT_FALSE(two.ok());
  EXPECT_NE(two.status().message().find("(4,) and (5,)"), std::string::npos);
  const auto one_megabyte = make({{Floats({1 << 20}), nullptr}}, 0);
  EXPECT_EQ((*one_megabyte)->rows(), 1 << 18);
}

TEST(RowsSource, BorrowsTheBlockWhileTheRunLives) {
  const View a = Floats({100});
  auto run = StartOrDie({Rows(a, 1), {}}, {1});
  EXPECT_EQ(a.block->Close().code(), base::Code::kBuffer);
  run = nullptr;
  EXPECT_TRUE(a.block->Close().ok());
  EXPECT_FALSE(Run::Start({Rows(a, 1), {}}, {1}).ok());
}

TEST(RowsSource, OfNoRowsGivesNothing) {
  EXPECT_TRUE(RunAll({Rows(Floats({0, 3}), 2), {}}).chunks.empty());
}

TEST(Map, AppliesOperationsInPlaceWhereItMay) {
  const View a = Floats({1000, 4});
  const std::vector<float> before = Values<float>(a);
  const Result result =
      RunAll({Rows(a, 64),
              {MapStage(Apply(Op::kMultiply, {Number64(2)})),
               MapStage(Apply(Op::kSubtract, {Number64(0.5)})),
               MapStage(Apply(Op::kClip, {Number64(-10), Number64(10)})), CollectStage()}});
  const View& out = Only(result);
  EXPECT_EQ(out.layout.shape, (Dims{1000, 4}));
  EXPECT_EQ(out.dtype(), DType(Kind::kF32));
  const std::vector<float> got = Values<float>(out);
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i], std::fmin(std::fmax(before[i] * 2 - 0.5F, -10.0F), 10.0F));
  }
  EXPECT_EQ(Values<float>(a), before);  // the source's own bytes are not written
}

TEST(Map, TakesTheRowsOfAlignedArrays) {
  const View a = Floats({100});
  const View w = Floats({100});
  const Result result =
      RunAll({Rows(a, 7),
              {MapStage(Apply(Op::kMultiply, {Operand{Part{w, nullptr}, true}})), CollectStage()}});
  const std::vector<float> got = Values<float>(Only(result));
  const std::vector<float> x = Values<float>(a);
  for (size_t i = 0; i < 100; ++i) ASSERT_EQ(got[i], x[i] * x[i]);
}

TEST(Map, AlignedArraysThatDoNotFitAreRefused) {
  const auto multiply = [](View w) {
    return MapStage(Apply(Op::kMultiply, {Operand{Part{std::move(w), nullptr}, true}}));
  };
  const Result shorter = RunAll({Rows(Floats({100}), 30), {multiply(Floats({90}))}});
  EXPECT_NE(shorter.error.find("90 rows"), std::string::npos);
  EXPECT_EQ(shorter.chunks.size(), 3u);
  const Result dropped =
      RunAll({Rows(Floats({100}), 30),
              {FilterStage(Apply(Op::kGreater, {Number64(0)})), multiply(Floats({100}))}});
  EXPECT_NE(dropped.error.find("aligned()"), std::string::npos);
}

TEST(Map, ReducesAlongAxesAndKeepsRows) {
  const View a = Floats({50, 8});
  const View w = Floats({50});
  const ReduceAxes mean{Reduction::kMean, false, {-1}};
  const Result result =
      RunAll({Rows(a, 9),
              {MapStage(Operation(mean)),
               MapStage(Apply(Op::kMultiply, {Operand{Part{w, nullptr}, true}})), CollectStage()}});
  const std::vector<float> got = Values<float>(Only(result));
  const std::vector<float> x = Values<float>(a), y = Values<float>(w);
  ASSERT_EQ(got.size(), 50u);
  for (size_t i = 0; i < 50; ++i) {
    double sum = 0;
    for (size_t j = 0; j < 8; ++j) sum += x[i * 8 + j];
    EXPECT_NEAR(got[i], sum / 8 * y[i], 1e-2);
  }
}

TEST(Map, WorksOnSeveralArraysSideBySide) {
  const View a = Floats({30}), b = Floats({30});
  auto source = *RowsSource::Make({{a, nullptr}, {b, nullptr}}, 4, {true, nullptr});
  const Result sum = RunAll({source, {MapStage(Apply(Op::kAdd)), CollectStage()}});
  EXPECT_EQ(Values<float>(Only(sum))[3], 2 * Values<float>(a)[3]);
  const Result wrong = RunAll({source, {MapStage(Apply(Op::kNegative))}});
  EXPECT_NE(wrong.error.find("takes 1 operands; the chunk brings 2"), std::string::npos);
}

TEST(Map, PythonNumbersTakeTheDtypeOfTheArray) {
  const View bytes = Make<uint8_t>(Kind::kU8, {3}, {1, 200, 255});
  const Result add = RunAll({Rows(bytes, 3), {MapStage(Apply(Op::kAdd, {Whole(1)}))}});
  EXPECT_EQ(Values<uint8_t>(Only(add)), (std::vector<uint8_t>{2, 201, 0}));
  const Result large = RunAll({Rows(bytes, 3), {MapStage(Apply(Op::kAdd, {Whole(256)}))}});
  EXPECT_NE(large.error.find("256"), std::string::npos);
  const Result less = RunAll({Rows(bytes, 3), {MapStage(Apply(Op::kLess, {Whole(256)}))}});
  EXPECT_EQ(Values<uint8_t>(Only(less)), (std::vector<uint8_t>{1, 1, 1}));
  const Result real = RunAll({Rows(bytes, 3), {MapStage(Apply(Op::kMultiply, {Number64(0.5)}))}});
  EXPECT_EQ(Only(real).dtype(), DType(Kind::kF64));
}

TEST(Filter, ByMaskAndByChunk) {
  const View a = Floats({1000});
  const Result mask =
      RunAll({Rows(a, 33), {FilterStage(Apply(Op::kGreater, {Number64(100)})), CollectStage()}});
  std::vector<float> wanted;
  for (float x : Values<float>(a)) {
    if (x > 100) wanted.push_back(x);
  }
  EXPECT_EQ(Values<float>(Only(mask)), wanted);

  const View flags = Make<uint8_t>(Kind::kBool, {6}, {0, 1, 0, 0, 1, 1});
  const Result any =
      RunAll({Rows(flags, 2), {FilterStage(Operation(ReduceAxes{Reduction::kAny}))}});
  ASSERT_EQ(any.chunks.size(), 2u);
  EXPECT_EQ(any.chunks[0]->first_row, 0);
  EXPECT_EQ(any.chunks[1]->first_row, 4);
  const Result wrong = RunAll({Rows(a, 10), {FilterStage(Apply(Op::kNegative))}});
  EXPECT_NE(wrong.error.find("true or false"), std::string::npos);
}

TEST(Reduce, IsTheSameForAnyNumberOfThreads) {
  const View a = Floats({100000});
  const std::vector<Reduction> all = {Reduction::kMin, Reduction::kMax, Reduction::kMean,
                                      Reduction::kStd, Reduction::kSum};
  std::vector<float> first;
  for (int threads : {1, 2, 3, 4}) {
    const Result result = RunAll({Rows(a, 777), ReduceStages(all, 1.0)}, {threads});
    std::vector<float> values;
    Only(result);
    for (int i = 0; i < 5; ++i) values.push_back(Values<float>((*result.chunks[0])[i].view)[0]);
    if (first.empty()) first = values;
    EXPECT_EQ(values, first);
  }
  double sum = 0, squares = 0;
  for (float x : Values<float>(a)) sum += x;
  const double mean = sum / 100000;
  for (float x : Values<float>(a)) squares += (x - mean) * (x - mean);
  EXPECT_NEAR(first[2], mean, 1e-3);
  EXPECT_NEAR(first[3], std::sqrt(squares / 99999), 1e-2);
  EXPECT_NEAR(first[4], sum, std::fabs(sum) * 1e-6 + 1);
}

TEST(Reduce, OfNothing) {
  const auto source = [] { return Rows(Floats({0}), 1); };
  EXPECT_EQ(Values<double>(Only(RunAll({source(), ReduceStages({Reduction::kSum}, 0)})))[0], 0.0);
  EXPECT_NE(RunAll({source(), ReduceStages({Reduction::kMin}, 0)}).error, "");
}

TEST(Collect, StacksNumbersAndRefusesWhatDoesNotFit) {
  const View a = Floats({10, 2});
  const Result sums =
      RunAll({Rows(a, 1), {MapStage(Operation(ReduceAxes{Reduction::kMax})), CollectStage()}});
  EXPECT_EQ(Only(sums).layout.shape, (Dims{10}));
  EXPECT_TRUE(RunAll({Rows(Floats({0}), 1), {CollectStage()}}).chunks.empty());
}

TEST(Memory, ChunksOfStagesAreCountedUntilTheirLastViewDies) {
  const View a = Floats({1 << 16});
  auto run =
      StartOrDie({Rows(a, 1 << 12), {MapStage(Apply(Op::kAdd, {Number64(1)}))}, 1}, {2, 1 << 20});
  Caller caller;
  Delivery delivery = run->Next(caller);
  View kept = (*delivery.item->AsChunk())[0].view;
  delivery.item = nullptr;
  run->Stop();
  EXPECT_EQ(run->Stats().bytes, 4 << 12);
  kept = {};
  EXPECT_EQ(run->Stats().bytes, 0);
}

TEST(Memory, AStageThatMakesTooMuchIsToldSo) {
  const View column = Floats({64, 1});
  const View row = Floats({1000});
  const Result result = RunAll(
      {Rows(column, 8), {MapStage(Apply(Op::kAdd, {Operand{Part{row, nullptr}}}))}}, {2, 20000});
  EXPECT_NE(result.error.find("32000"), std::string::npos);
  EXPECT_NE(result.error.find("20000"), std::string::npos);
}

class MappedRows : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "/rows" + std::to_string(getpid());
    std::vector<float> values(1 << 20);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 1000);
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(values.data()), int64_t{4} << 20);
    view_.block = *memory::MapFile(path_, memory::MapMode::kRead, 0, int64_t{4} << 20);
    view_.data = view_.block->address();
    view_.layout = *base::Layout::Contiguous(DType(Kind::kF32), {1 << 20});
    view_.readonly = true;
  }
  void TearDown() override { std::remove(path_.c_str()); }

  std::string path_;
  View view_;
};

TEST_F(MappedRows, AreReduced) {
  const Result result =
      RunAll({Rows(view_, 100000), ReduceStages({Reduction::kSum, Reduction::kMax}, 0)});
  Only(result);
  EXPECT_EQ(Values<float>((*result.chunks[0])[1].view)[0], 999.0F);
  EXPECT_EQ(result.stats.stages[0].nbytes, 4 << 20);
}

TEST_F(MappedRows, OfATruncatedFileAreAnErrorNotASignal) {
  ASSERT_EQ(truncate(path_.c_str(), 1 << 20), 0);
  const Result result = RunAll({Rows(view_, 100000), ReduceStages({Reduction::kSum}, 0)});
  EXPECT_TRUE(result.chunks.empty());
  EXPECT_NE(result.error, "");
}

}  // namespace
}  // namespace spanflow::pipeline
