#include "pipeline/rows_source.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <optional>

#include "memory/mapped_file.h"
#include "pipeline/engine.h"

namespace spanflow::pipeline {
namespace {

using base::Result;
using base::Status;

constexpr int64_t kDefaultChunkBytes = int64_t{1} << 20;
// Pages are made present in steps of this.
constexpr int64_t kWindow = int64_t{1} << 20;
// Slower than this means that the bytes come from the device: start reading further ahead.
constexpr int64_t kWarmBytesPerMicrosecond = 2000;
constexpr int64_t kReadAhead = int64_t{8} << 20;
// How much is taken for warm at most when the step before it was.
constexpr int64_t kMostTrusted = int64_t{64} << 20;

int64_t RowBytes(const array::View& view) {
  int64_t bytes = view.dtype().itemsize();
  for (int i = 1; i < view.ndim(); ++i) bytes *= view.layout.shape[i];
  return bytes;
}

// Makes the pages of a mapped array present shortly before they are read, where they are not in
// memory yet. Those that are come faster by the faults of whoever reads them: these map 16 pages
// each, on several threads at once. Which they are shows when a step of them is made present, so a
// slow step is followed by another, a quick one by more and more bytes that are taken for warm.
class Prefault {
 public:
  explicit Prefault(const array::View& view) {
    // Only where consecutive rows lie behind one another.
    if (view.block.get() == nullptr || view.block->kind() != memory::BlockKind::kMapped) return;
    if (view.ndim() == 0 || !view.layout.c_contiguous()) return;
    block_ = view.block.get();
    begin_ = view.data - block_->address();
    end_ = begin_ + view.layout.nbytes();
    ready_ = begin_;
  }

  // The bytes [first, last) of the array are about to be read.
  Status Await(int64_t first, int64_t last) {
    if (block_ == nullptr) return Status::Ok();
    first += begin_;
    last += begin_;
    int64_t ready = ready_.load(std::memory_order_relaxed);
    int64_t next;
    do {
      if (last <= ready) return Status::Ok();
      next = std::min(end_, std::max(last, first + kWindow));
    } while (!ready_.compare_exchange_weak(ready, next, std::memory_order_relaxed));
    for (int64_t at = std::max(ready, first); at < next;) {
      const int64_t nbytes = std::min(kWindow, next - at);
      SPANFLOW_ASSIGN(const bool warm, MakePresent(at, nbytes));
      at += nbytes;
      if (!warm) continue;
      Trust(at);
      return Status::Ok();
    }
    return Status::Ok();
  }

 private:
  // Whether the bytes were in memory already.
  Result<bool> MakePresent(int64_t at, int64_t nbytes) {
    const int64_t begun = Now();
    SPANFLOW_TRY(memory::Populate(block_, at, nbytes));
    if ((Now() - begun) * kWarmBytesPerMicrosecond <= nbytes * 1000) return true;
    trusted_.store(kWindow, std::memory_order_relaxed);
    const int64_t behind = at + nbytes;
    memory::AdviseWillNeed(block_, behind, std::min(kReadAhead, end_ - behind));
    return false;
  }

  // Takes what lies behind for warm, twice as much as the last time.
  void Trust(int64_t at) {
    const int64_t nbytes = trusted_.load(std::memory_order_relaxed);
    trusted_.store(std::min(2 * nbytes, kMostTrusted), std::memory_order_relaxed);
    const int64_t until = std::min(end_, at + nbytes);
    int64_t ready = ready_.load(std::memory_order_relaxed);
    while (ready < until &&
           !ready_.compare_exchange_weak(ready, until, std::memory_order_relaxed)) {
    }
  }

  memory::Block* block_ = nullptr;
  int64_t begin_ = 0;  // in the block
  int64_t end_ = 0;
  std::atomic<int64_t> ready_{0};  // nothing more is done for bytes before this
  std::atomic<int64_t> trusted_{kWindow};
};

class OpenedRows final : public SourceRun {
 public:
  explicit OpenedRows(const RowsSource& source) : source_(source) {
    for (const Part& part : source.parts()) {
      row_bytes_.push_back(RowBytes(part.view));
      prefault_.emplace_back(part.view);
    }
  }

  Status Borrow() {
    for (const Part& part : source_.parts()) {
      borrows_.emplace_back(part.view.block.get(), memory::Borrower::kPipeline);
      if (!borrows_.back().ok()) return Status::Value("read() of a closed array");
    }
    return Status::Ok();
  }

  Status Produce(const Request& request, Produced* produced, Context&) override {
    for (size_t i = 0; i < request.items.size(); ++i) {
      SPANFLOW_TRY(Fill(request.first + static_cast<int64_t>(i), &request.items[i]));
      ++produced->count;
    }
    return Status::Ok();
  }

  int64_t BytesOf(int64_t index) const override {
    int64_t sum = 0;
    for (int64_t bytes : row_bytes_) sum += bytes;
    return sum * CountOf(index);
  }

 private:
  int64_t CountOf(int64_t index) const {
    return std::clamp<int64_t>(source_.length() - index * source_.rows(), 0, source_.rows());
  }

  Status Fill(int64_t index, Item* item) {
    const int64_t first = std::min(index * source_.rows(), source_.length());
    const int64_t count = CountOf(index);
    auto chunk = std::make_unique<Chunk>();
    chunk->first_row = first;
    chunk->rows = count;
    chunk->form = source_.form();
    for (size_t i = 0; i < source_.parts().size(); ++i) {
      SPANFLOW_TRY(prefault_[i].Await(first * row_bytes_[i], (first + count) * row_bytes_[i]));
      const Part& from = source_.parts()[i];
      if (i == 0)
        (*chunk)[0] = Part(RowsOf(from.view, first, count), from.keep);
      else
        chunk->Append(Part(RowsOf(from.view, first, count), from.keep));
    }
    *item = std::move(chunk);
    return Status::Ok();
  }

  const RowsSource& source_;  // the run's pipeline keeps it
  std::vector<int64_t> row_bytes_;
  std::deque<Prefault> prefault_;
  std::deque<memory::Borrow> borrows_;
};

}  // namespace

array::View RowsOf(const array::View& view, int64_t first, int64_t count) {
  base::Layout layout = view.layout;
  layout.shape[0] = count;
  return view.With(std::move(layout), first * view.layout.strides[0]);
}

Result<std::shared_ptr<const RowsSource>> RowsSource::Make(std::vector<Part> parts, int64_t rows,
                                                           Form form, bool not_empty,
                                                           int64_t first) {
  if (parts.empty()) return Status::Value("read() needs at least one array");
  if (rows < 0) {
    return Status::Value("rows must be positive, got " + std::to_string(rows));
  }
  int64_t row_bytes = 0;
  for (const Part& part : parts) {
    if (part.view.ndim() == 0) {
      return Status::Value("read() cuts arrays along their first axis; a 0-d array has none");
    }
    if (part.view.layout.shape[0] != parts[0].view.layout.shape[0]) {
      return Status::Value("read() of several arrays needs the same number of rows in each, got " +
                           base::ToString(parts[0].view.layout.shape) + " and " +
                           base::ToString(part.view.layout.shape));
    }
    row_bytes += RowBytes(part.view);
  }
  if (rows == 0) rows = std::max<int64_t>(kDefaultChunkBytes / std::max<int64_t>(row_bytes, 1), 1);
  return std::shared_ptr<const RowsSource>(
      new RowsSource(std::move(parts), rows, std::move(form), not_empty, first));
}

std::string RowsSource::Name() const { return "read(rows=" + std::to_string(rows_) + ")"; }

Result<std::unique_ptr<SourceRun>> RowsSource::Open(Shape* shape) const {
  auto opened = std::make_unique<OpenedRows>(*this);
  SPANFLOW_TRY(opened->Borrow());
  shape->items = chunks() - first_;
  if (not_empty_) shape->items = std::max<int64_t>(shape->items, 1);
  shape->rows = std::max<int64_t>(length() - first_ * rows_, 0);
  return std::unique_ptr<SourceRun>(std::move(opened));
}

}  // namespace spanflow::pipeline
