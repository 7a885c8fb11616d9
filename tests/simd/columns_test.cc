// Reductions along an outer axis on every kind and target, column by column against plain loops.
#include <algorithm>
#include <memory>

#include "testing.h"

namespace spanflow::simd {
namespace {

using namespace testing;  // NOLINT(build/namespaces)

// State in memory that is aligned for its kind and guarded on both sides by canaries.
class State {
 public:
  State(const ColumnKernel& kernel, size_t n) : kernel_(kernel), n_(n) {
    const auto itemsize = static_cast<size_t>(base::InfoOf(kernel.state_kind).itemsize);
    bytes_ = n * itemsize * static_cast<size_t>(kernel.width);
    // 16 bytes: what a complex state needs, and no vector is aligned by chance.
    memory_.assign(bytes_ / 16 + 10, Canary());
    kernel.init(data(), n);
  }
  void* data() { return memory_.data() + 4; }
  void Update(const std::byte* in, ptrdiff_t stride, size_t rows) {
    kernel_.update(data(), in, stride, rows, n_, seen_);
    seen_ += static_cast<int64_t>(rows);
  }
  void Merge(State& other) {
    kernel_.merge(data(), other.data(), n_, seen_, other.seen_);
    seen_ += other.seen_;
  }
  void Finish(double ddof, void* out) { kernel_.finish(data(), n_, seen_, ddof, out); }
  bool Intact() const {
    const auto* const bytes = reinterpret_cast<const std::byte*>(memory_.data());
    return std::all_of(bytes, bytes + 64, IsCanary) &&
           std::all_of(bytes + 64 + bytes_, bytes + memory_.size() * 16, IsCanary);
  }

 private:
  struct alignas(16) Unit {
    std::byte bytes[16];
  };
  static Unit Canary() {
    Unit unit;
    std::fill_n(unit.bytes, 16, std::byte{0xA5});
    return unit;
  }
  static bool IsCanary(std::byte b) { return b == std::byte{0xA5}; }

  ColumnKernel kernel_;
  size_t n_;
  size_t bytes_;
  int64_t seen_ = 0;
  std::vector<Unit> memory_;
};

// A matrix against a guard page, rows `stride` bytes apart.
template <Kind kKind>
struct Matrix {
  size_t rows, columns;
  ptrdiff_t stride;
  std::vector<Lane<kKind>> lanes;  // row by row
  const std::byte* first_row;

  const Lane<kKind>* At(size_t row, size_t column) const {
    return lanes.data() + (row * columns + column) * KindLane<kKind>::kLanes;
  }
};

template <Kind kKind>
Matrix<kKind> MakeMatrix(Engine& engine, GuardedBytes& guard, size_t rows, size_t columns,
                         bool specials) {
  constexpr size_t kParts = KindLane<kKind>::kLanes;
  Matrix<kKind> m{rows, columns, 0, RandomLanes<kKind>(engine, rows * columns * kParts, specials),
                  nullptr};
  const size_t row_bytes = columns * kItemBytes<kKind>;
  const size_t gap = engine() % 3 == 0 ? 0 : engine() % 40;
  const bool backwards = engine() % 4 == 0;
  const size_t total = rows == 0 ? 0 : (rows - 1) * (row_bytes + gap) + row_bytes;
  std::byte* const start = engine() % 2 == 0 ? guard.Before(total) : guard.Start();
  m.stride = static_cast<ptrdiff_t>(row_bytes + gap);
  m.first_row = start;
  if (backwards && rows != 0) {
    m.first_row = start + static_cast<ptrdiff_t>(rows - 1) * m.stride;
    m.stride = -m.stride;
  }
  for (size_t r = 0; r < rows; ++r) {
    std::byte* const row = start + (m.first_row - start) + static_cast<ptrdiff_t>(r) * m.stride;
    std::memcpy(row, m.lanes.data() + r * columns * kParts, row_bytes);
  }
  return m;
}

// Folds the rows in pieces, some into a second state that is merged.
template <Kind kKind>
State Fold(Engine& engine, Reduction reduction, const Matrix<kKind>& m) {
  const ColumnKernel kernel = FindColumnReduction(reduction, kKind);
  State total(kernel, m.columns);
  for (size_t row = 0; row < m.rows;) {
    const size_t rows = std::min(m.rows - row, size_t{1} + engine() % 21);
    const std::byte* const in = m.first_row + static_cast<ptrdiff_t>(row) * m.stride;
    if (engine() % 2 == 0) {
      total.Update(in, m.stride, rows);
    } else {
      State part(kernel, m.columns);
      part.Update(in, m.stride, rows);
      total.Merge(part);
      EXPECT_TRUE(part.Intact());
    }
    row += rows;
  }
  State empty(kernel, m.columns);
  total.Merge(empty);
  EXPECT_TRUE(total.Intact());
  return total;
}

template <class Out, Kind kKind>
std::vector<Out> FoldTo(Engine& engine, Reduction reduction, const Matrix<kKind>& m, double ddof,
                        size_t parts) {
  std::vector<Out> out(m.columns * parts + 1, Out{77});
  Fold(engine, reduction, m).Finish(ddof, out.data());
  EXPECT_EQ(out.back(), Out{77});
  out.pop_back();
  return out;
}

template <Kind kKind, class F>
void ForEachMatrix(bool specials, F check) {
  Engine engine(static_cast<uint64_t>(kKind));
  GuardedBytes guard(60 * 1300 * 16 + 60 * 40);
  for (const size_t columns :
       std::initializer_list<size_t>{1, 2, 3, 15, 16, 17, 31, 63, 64, 65, 100, 130, 300, 1100}) {
    for (const size_t rows : std::initializer_list<size_t>{0, 1, 2, 7, 8, 9, 16, 25, 59}) {
      SCOPED_TRACE(NameOf(kKind) + " " + std::to_string(rows) + " x " + std::to_string(columns));
      check(engine, MakeMatrix<kKind>(engine, guard, rows, columns, specials));
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

template <Kind kKind>
constexpr bool kFloating = base::IsFloat(kKind) || base::IsComplex(kKind);

class Columns : public OnTarget {};

template <Kind kKind>
void CheckIntegerSums(Engine& engine, const Matrix<kKind>& m) {
  const auto sums = FoldTo<uint64_t>(engine, Reduction::kSum, m, 0, 1);
  const auto means = FoldTo<double>(engine, Reduction::kMean, m, 0, 1);
  for (size_t c = 0; c < m.columns; ++c) {
    __extension__ __int128 exact = 0;
    long double size = 0;
    for (size_t r = 0; r < m.rows; ++r) {
      exact += *m.At(r, c);
      size += std::fabs(static_cast<long double>(*m.At(r, c)));
    }
    ASSERT_EQ(sums[c], static_cast<uint64_t>(exact)) << c;
    if (m.rows == 0) {
      ASSERT_TRUE(std::isnan(means[c]));
    } else {
      const long double mean = static_cast<long double>(exact) / static_cast<long double>(m.rows);
      ASSERT_LE(std::fabs(means[c] - mean), 1e-15L * size) << c;
    }
  }
}

template <Kind kKind>
void CheckFloatSums(Engine& engine, const Matrix<kKind>& m) {
  using T = Lane<kKind>;
  constexpr size_t kParts = KindLane<kKind>::kLanes;
  const auto sums = FoldTo<T>(engine, Reduction::kSum, m, 0, kParts);
  const auto means = FoldTo<T>(engine, Reduction::kMean, m, 0, kParts);
  const long double tolerance = sizeof(T) == 4 ? 6e-8L : 2e-15L;
  for (size_t i = 0; i < m.columns * kParts; ++i) {
    long double exact = 0, size = 0;
    for (size_t r = 0; r < m.rows; ++r) {
      const long double value = m.At(r, 0)[i];
      exact += value;
      size += std::fabs(value);
    }
    ASSERT_LE(std::fabs(sums[i] - exact), tolerance * size) << i;
    if (m.rows == 0) {
      ASSERT_TRUE(std::isnan(means[i]));
    } else {
      const long double rows = static_cast<long double>(m.rows);
      ASSERT_LE(std::fabs(means[i] - exact / rows), 2 * tolerance * size / rows) << i;
    }
  }
}

TEST_P(Columns, SumsAndMeans) {
  ForEachKind([]<Kind kKind>() {
    if constexpr (Contains(kEveryKind, kKind)) {
      ForEachMatrix<kKind>(!kFloating<kKind>, [](Engine& engine, const Matrix<kKind>& m) {
        if constexpr (kFloating<kKind>) {
          CheckFloatSums(engine, m);
        } else {
          CheckIntegerSums(engine, m);
        }
      });
    }
  });
}

template <Kind kKind>
void CheckVariance(Engine& engine, const Matrix<kKind>& m, long double tolerance) {
  using Real = std::conditional_t<kFloating<kKind>, Lane<kKind>, double>;
  constexpr size_t kParts = KindLane<kKind>::kLanes;
  for (const double ddof : {0.0, 1.0}) {
    const auto vars = FoldTo<Real>(engine, Reduction::kVar, m, ddof, 1);
    const auto roots = FoldTo<Real>(engine, Reduction::kStd, m, ddof, 1);
    const long double rows = static_cast<long double>(m.rows);
    for (size_t c = 0; c < m.columns; ++c) {
      if (rows - ddof <= 0) {
        ASSERT_TRUE(std::isnan(vars[c]) && std::isnan(roots[c]));
        continue;
      }
      long double squares = 0;
      for (size_t part = 0; part < kParts; ++part) {
        long double sum = 0;
        for (size_t r = 0; r < m.rows; ++r) sum += m.At(r, c)[part];
        for (size_t r = 0; r < m.rows; ++r) {
          const long double distance = m.At(r, c)[part] - sum / rows;
          squares += distance * distance;
        }
      }
      const long double expected = squares / (rows - ddof);
      ASSERT_LE(std::fabs(vars[c] - expected), tolerance * expected) << c;
      ASSERT_LE(std::fabs(roots[c] - std::sqrt(expected)), tolerance * std::sqrt(expected)) << c;
    }
  }
}

TEST_P(Columns, Variance) {
  ForEachKind([]<Kind kKind>() {
    if constexpr (Contains(kEveryKind, kKind)) {
      ForEachMatrix<kKind>(false, [](Engine& engine, const Matrix<kKind>& m) {
        CheckVariance(engine, m, sizeof(Lane<kKind>) == 4 && kFloating<kKind> ? 1e-7L : 1e-12L);
      });
    }
  });
}

TEST_P(Columns, VarianceFarFromZero) {
  Engine engine(9);
  std::uniform_real_distribution<double> noise(-1, 1);
  Matrix<Kind::kF64> m{500, 40, 40 * 8, {}, nullptr};
  for (size_t i = 0; i < m.rows * m.columns; ++i) m.lanes.push_back(1e9 + noise(engine));
  m.first_row = reinterpret_cast<const std::byte*>(m.lanes.data());
  CheckVariance(engine, m, 1e-13L);
}

template <Kind kKind>
void CheckExtremes(Engine& engine, const Matrix<kKind>& m) {
  using T = Lane<kKind>;
  if (m.rows == 0) return;
  const auto low = FoldTo<T>(engine, Reduction::kMin, m, 0, 1);
  const auto high = FoldTo<T>(engine, Reduction::kMax, m, 0, 1);
  for (size_t c = 0; c < m.columns; ++c) {
    T least = *m.At(0, c), most = least;
    for (size_t r = 1; r < m.rows; ++r) {
      const T value = *m.At(r, c);
      if (value < least || value != value) least = value;
      if (value > most || value != value) most = value;
    }
    ASSERT_TRUE(SameValue(low[c], least)) << c;
    ASSERT_TRUE(SameValue(high[c], most)) << c;
  }
}

TEST_P(Columns, MinAndMaxWithNan) {
  ForEachKind([]<Kind kKind>() {
    if constexpr (Contains(kRealKinds | kBoolKind, kKind)) {
      ForEachMatrix<kKind>(
          true, [](Engine& engine, const Matrix<kKind>& m) { CheckExtremes(engine, m); });
    }
  });
}

template <Kind kKind>
void CheckTruth(Engine& engine, Matrix<kKind> m) {
  constexpr size_t kParts = KindLane<kKind>::kLanes;
  // Columns that are all zero, all nonzero, and mixed ones.
  for (size_t i = 0; i < m.lanes.size(); ++i) {
    const size_t column = i / kParts % m.columns;
    if (column % 3 == 0 || (column % 3 == 1 && engine() % 2 == 0)) m.lanes[i] = 0;
  }
  m.first_row = reinterpret_cast<const std::byte*>(m.lanes.data());
  m.stride = static_cast<ptrdiff_t>(m.columns * kItemBytes<kKind>);
  const auto any = FoldTo<uint8_t>(engine, Reduction::kAny, m, 0, 1);
  const auto all = FoldTo<uint8_t>(engine, Reduction::kAll, m, 0, 1);
  const auto count = FoldTo<int64_t>(engine, Reduction::kCountNonzero, m, 0, 1);
  for (size_t c = 0; c < m.columns; ++c) {
    int64_t expected = 0;
    for (size_t r = 0; r < m.rows; ++r) {
      bool nonzero = false;
      for (size_t part = 0; part < kParts; ++part) nonzero = nonzero || m.At(r, c)[part] != 0;
      expected += nonzero;
    }
    ASSERT_EQ(count[c], expected) << c;
    ASSERT_EQ(any[c], expected != 0) << c;
    ASSERT_EQ(all[c], expected == static_cast<int64_t>(m.rows)) << c;
  }
}

TEST_P(Columns, AnyAllAndCount) {
  ForEachKind([]<Kind kKind>() {
    if constexpr (Contains(kEveryKind, kKind)) {
      ForEachMatrix<kKind>(true,
                           [](Engine& engine, const Matrix<kKind>& m) { CheckTruth(engine, m); });
    }
  });
}

// More rows than any narrow partial sum could count.
TEST_P(Columns, ManyRowsOfTheLargestIntegers) {
  const auto check = []<Kind kKind>() {
    using T = Lane<kKind>;
    for (const T value : {std::numeric_limits<T>::max(), std::numeric_limits<T>::min()}) {
      const std::vector<T> row(70, value);
      const ColumnKernel sum = FindColumnReduction(Reduction::kSum, kKind);
      State state(sum, row.size());
      state.Update(reinterpret_cast<const std::byte*>(row.data()), 0, 70000);
      std::vector<uint64_t> out(row.size());
      state.Finish(0, out.data());
      EXPECT_EQ(out, std::vector<uint64_t>(70, static_cast<uint64_t>(value) * 70000));
      State count(FindColumnReduction(Reduction::kCountNonzero, kKind), row.size());
      count.Update(reinterpret_cast<const std::byte*>(row.data()), 0, 70000);
      count.Finish(0, out.data());
      EXPECT_EQ(out, std::vector<uint64_t>(70, value != 0 ? 70000 : 0));
    }
  };
  ForEachKind([&]<Kind kKind>() {
    if constexpr (Contains(kIntegerKinds, kKind)) check.template operator()<kKind>();
  });
}

SPANFLOW_ON_EVERY_TARGET(Columns);

}  // namespace
}  // namespace spanflow::simd
