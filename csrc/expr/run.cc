#include "expr/run.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <utility>

#include "array/iterate.h"
#include "array/split.h"

namespace spanflow::expr {
namespace {

using array::Loader;
using array::Scratch;
using array::Spanned;
using array::Storer;
using base::Kind;
using simd::Accumulator;

// What all registers of a program together may take of the L1 cache.
constexpr int64_t kL1Share = 32 << 10;
// Larger blocks cost less for their steps, but leave L1 to nothing else.
constexpr int64_t kMostRegisterBytes = 8 << 10;
// What several readers share of data that no register holds.
constexpr int64_t kSharedBlockBytes = 16 << 10;

}  // namespace

Runner::Runner(Program program)
    : program_(std::move(program)),
      loads_(program_.inputs.size()),
      stores_(program_.outputs.size()) {
  for (const int64_t extent : program_.shape) size_ *= extent;
  if (size_ == 0) return;
  const array::AxisOrder order = Order();
  const auto shape = Spanned(program_.shape);
  for (size_t i = 0; i < loads_.size(); ++i) {
    const base::Layout& layout = program_.inputs[i].layout;
    base::Dims strides;
    array::BroadcastStrides(layout, program_.shape, &strides);
    array::MakeWalk(nullptr, shape, Spanned(strides), order, &loads_[i].walk);
    loads_[i].Make(layout.dtype, array::ComputeKind(layout.dtype.kind()));
    block_ = std::min(block_, loads_[i].capacity);
    if (!loads_[i].walk.constant()) element_bytes_ += layout.dtype.itemsize();
  }
  for (size_t i = 0; i < stores_.size(); ++i) {
    const base::Layout& layout = program_.outputs[i].to.layout;
    array::MakeWalk(nullptr, shape, Spanned(layout.strides), order, &stores_[i].walk);
    stores_[i].Make(layout.dtype, program_.outputs[i].kind);
    block_ = std::min(block_, stores_[i].capacity);
    element_bytes_ += layout.dtype.itemsize();
  }
  element_bytes_ = std::max<int64_t>(element_bytes_, 1);
  LimitBlock();
}

Runner::~Runner() = default;

// The order of memory of the first operand that has the whole shape. What is filtered is wanted in
// C order.
array::AxisOrder Runner::Order() const {
  const base::Dims c_order = base::ContiguousStrides(program_.shape, 1);
  const base::Dims* strides = &c_order;
  if (program_.filtered.empty()) {
    for (const Input& input : program_.inputs) {
      if (input.layout.shape == program_.shape) strides = &input.layout.strides;
    }
    for (const Output& output : program_.outputs) strides = &output.to.layout.strides;
  }
  return array::OrderByStrides(Spanned(program_.shape), Spanned(*strides));
}

void Runner::LimitBlock() {
  const auto whole = std::ranges::count_if(program_.numbers, &NumberInput::is_whole);
  const auto registers = static_cast<int64_t>(program_.registers) + whole;
  if (registers != 0) {
    const int64_t share = kL1Share / registers / 64 * 64;
    register_bytes_ = std::clamp<int64_t>(share, 1024, kMostRegisterBytes);
    block_ = std::min(block_, register_bytes_ / program_.widest);
  } else if (program_.steps.size() + program_.folds.size() > 1) {
    block_ = std::min(block_, kSharedBlockBytes / 8);
  }
}

namespace {

// Where one grain's results go.
struct Sink {
  Accumulator* accumulators = nullptr;
  std::vector<Piece*> pieces;  // one for each filtered output
};

// What a grain leaves of a filtered output is packed here first: its size is not known before the
// end, and memory that grows would be copied more than once.
class Packed {
 public:
  explicit Packed(Kind kind)
      : itemsize_(static_cast<size_t>(base::InfoOf(kind).itemsize)),
        bytes_(std::make_unique_for_overwrite<std::byte[]>(array::kGrain * itemsize_)) {}

  void Add(const std::byte* items, size_t count) {
    std::memcpy(bytes_.get() + size_, items, count * itemsize_);
    size_ += count * itemsize_;
  }

  Piece Take() {
    const size_t size = std::exchange(size_, 0);
    if (size == 0) return {};
    base::Result<memory::BlockRef> block = memory::AllocateHeap(static_cast<int64_t>(size));
    if (!block.ok()) throw std::bad_alloc();
    std::memcpy((*block)->address(), bytes_.get(), size);
    return {std::move(*block), static_cast<int64_t>(size)};
  }

 private:
  size_t itemsize_;
  size_t size_ = 0;  // bytes
  std::unique_ptr<std::byte[]> bytes_;
};

}  // namespace

// One thread's registers and its place in the data.
class Worker {
 public:
  explicit Worker(const Runner& runner)
      : runner_(runner),
        program_(runner.program_),
        scratches_(std::make_unique_for_overwrite<Scratch[]>(runner.loads_.size() +
                                                             runner.stores_.size())),
        loaders_(runner.loads_.size()),
        storers_(runner.stores_.size()),
        places_(program_.places()),
        counts_(program_.domains) {
    constexpr size_t kAlign = 64;
    const auto size = static_cast<size_t>(runner.register_bytes_);
    const auto bytes_of = [size](const NumberInput& number) {
      return number.is_whole ? size : kAlign;
    };
    size_t bytes = program_.registers * size + kAlign;
    for (const NumberInput& number : program_.numbers) bytes += bytes_of(number);
    memory_ = std::make_unique_for_overwrite<std::byte[]>(bytes);
    std::byte* next = memory_.get();
    next += -reinterpret_cast<uintptr_t>(next) & (kAlign - 1);
    for (size_t i = 0; i < program_.numbers.size(); ++i) {
      places_[program_.number_place(i)] = next;
      FillNumber(program_.numbers[i], next, bytes_of(program_.numbers[i]));
      next += bytes_of(program_.numbers[i]);
    }
    for (size_t i = 0; i < program_.registers; ++i, next += size) {
      places_[program_.register_place(i)] = next;
    }
    for (const FilteredOutput& output : program_.filtered) packed_.emplace_back(output.kind);
  }

  // Elements [begin, end).
  void Run(int64_t begin, int64_t end, const Addresses& addresses, const Sink& sink) {
    // The plans' walks begin at address 0.
    for (size_t i = 0; i < loaders_.size(); ++i) {
      loaders_[i].Start(&runner_.loads_[i], &scratches_[i], begin,
                        reinterpret_cast<ptrdiff_t>(addresses.inputs[i]));
    }
    for (size_t i = 0; i < storers_.size(); ++i) {
      storers_[i].Start(&runner_.stores_[i], &scratches_[loaders_.size() + i], begin,
                        reinterpret_cast<ptrdiff_t>(addresses.outputs[i]));
    }
    while (begin < end) {
      const int64_t n = Prefer(std::min(runner_.block_, end - begin));
      RunBlock(n, sink);
      begin += n;
    }
    for (size_t i = 0; i < packed_.size(); ++i) *sink.pieces[i] = packed_[i].Take();
  }

 private:
  static void FillNumber(const NumberInput& number, std::byte* to, size_t nbytes) {
    const auto itemsize = static_cast<size_t>(base::InfoOf(number.kind).itemsize);
    simd::Gather(number.item.data(), 0, itemsize, to, nbytes / itemsize);
  }

  int64_t Prefer(int64_t n) const {
    for (const Loader& loader : loaders_) n = loader.Prefer(n);
    for (const Storer& storer : storers_) n = storer.Prefer(n);
    return n;
  }

  void RunBlock(int64_t n, const Sink& sink) {
    counts_[0] = static_cast<size_t>(n);
    for (size_t i = 0; i < loaders_.size(); ++i) {
      places_[i] = static_cast<std::byte*>(const_cast<void*>(loaders_[i].Next(n)));
    }
    for (size_t i = 0; i < storers_.size(); ++i) {
      if (program_.outputs[i].is_direct) {
        places_[program_.output_place(i)] = static_cast<std::byte*>(storers_[i].Begin(n));
      }
    }
    // While this block is worked on in L1, memory would have nothing to do.
    for (const Loader& loader : loaders_) loader.Prefetch(n);
    for (const Step& step : program_.steps) RunStep(step);
    for (const Fold& fold : program_.folds) RunFold(fold, sink.accumulators + fold.first);
    for (size_t i = 0; i < packed_.size(); ++i) {
      const FilteredOutput& output = program_.filtered[i];
      packed_[i].Add(places_[output.from], counts_[output.domain]);
    }
    for (size_t i = 0; i < storers_.size(); ++i) {
      const Output& output = program_.outputs[i];
      if (output.is_direct)
        storers_[i].End(n);
      else
        storers_[i].Put(places_[output.from], n);
    }
    for (size_t d = 1; d < counts_.size(); ++d) {
      AddCount(&sink.accumulators[program_.accumulators + d - 1], static_cast<int64_t>(counts_[d]));
    }
  }

  static void AddCount(Accumulator* to, int64_t count) {
    int64_t sum;
    std::memcpy(&sum, to->bytes, sizeof(sum));
    sum += count;
    std::memcpy(to->bytes, &sum, sizeof(sum));
  }

  void RunStep(const Step& step) {
    const size_t n = counts_[step.domain];
    std::byte* const out = places_[step.out];
    switch (step.type) {
      case Step::Type::kOp: {
        const void* const in[] = {places_[step.in[0]], places_[step.in[1]], places_[step.in[2]]};
        return step.run(in, out, n);
      }
      case Step::Type::kChain:
        return WithLinks(step.chain, [&](auto links) { step.chain.kernel.run(links, out, n); });
      case Step::Type::kCast:
        return step.cast(places_[step.in[0]], out, n);
      case Step::Type::kCompress:
        counts_[step.to_domain] =
            simd::Compress(places_[step.in[0]], static_cast<size_t>(step.itemsize),
                           reinterpret_cast<const uint8_t*>(places_[step.in[1]]), n, out);
    }
  }

  void RunFold(const Fold& fold, Accumulator* accumulators) {
    const size_t n = counts_[fold.domain];
    if (fold.chain.size == 0) {
      return array::UpdateAll(fold.kernels.All(), accumulators, places_[fold.in], n);
    }
    WithLinks(fold.chain, [&](auto links) { fold.chain.kernel.sum(links, n, accumulators); });
  }

  template <class Use>
  void WithLinks(const Chain& chain, const Use& use) {
    std::array<simd::ChainLink, simd::kMaxLinks> links;
    size_t size = 0;
    for (const Link& from : program_.LinksOf(chain)) {
      simd::ChainLink& link = links[size++];
      link.op = from.op;
      for (size_t k = 0; k < from.in.size(); ++k) {
        if (from.in[k] == Link::kRunning) continue;
        link.in[k] = {places_[from.in[k]], program_.is_number(from.in[k])};
      }
    }
    use(std::span<const simd::ChainLink>(links).first(size));
  }

  const Runner& runner_;
  const Program& program_;
  std::unique_ptr<std::byte[]> memory_;
  std::unique_ptr<Scratch[]> scratches_;
  std::vector<Loader> loaders_;
  std::vector<Storer> storers_;
  std::vector<std::byte*> places_;
  std::vector<size_t> counts_;  // elements of each domain in this block
  std::vector<Packed> packed_;  // of each filtered output
};

namespace {

void InitFolds(const Program& program, Accumulator* accumulators) {
  for (const Fold& fold : program.folds)
    array::InitAll(fold.kernels.All(), accumulators + fold.first);
  for (size_t d = 1; d < program.domains; ++d) {
    std::memset(&accumulators[program.accumulators + d - 1], 0, sizeof(Accumulator));
  }
}

void MergeFolds(const Program& program, Accumulator* into, const Accumulator* more) {
  for (const Fold& fold : program.folds) {
    array::MergeAll(fold.kernels.All(), into + fold.first, more + fold.first);
  }
  for (size_t d = 1; d < program.domains; ++d) {
    const size_t i = program.accumulators + d - 1;
    int64_t sum, count;
    std::memcpy(&sum, into[i].bytes, sizeof(sum));
    std::memcpy(&count, more[i].bytes, sizeof(count));
    sum += count;
    std::memcpy(into[i].bytes, &sum, sizeof(sum));
  }
}

bool AllDone(const Program& program, const Accumulator* accumulators) {
  if (!program.outputs.empty() || program.domains > 1) return false;
  return std::ranges::all_of(program.folds, [&](const Fold& fold) {
    return array::AllDone(fold.kernels.All(), accumulators + fold.first);
  });
}

}  // namespace

// Nobody waits for registers: new ones cost less, and in a forked child the lock may stay taken.
template <class Work>
void Runner::Borrow(const Work& work) {
  std::unique_ptr<Worker> worker;
  if (const std::unique_lock lock(mutex_, std::try_to_lock); lock && !waiting_.empty()) {
    worker = std::move(waiting_.back());
    waiting_.pop_back();
  }
  if (worker == nullptr) worker = std::make_unique<Worker>(*this);
  work(*worker);
  if (const std::unique_lock lock(mutex_, std::try_to_lock); lock) {
    waiting_.push_back(std::move(worker));
  }
}

// In grains, whose partial results are merged in order.
void Runner::RunGrains(const Addresses& addresses, const array::RunOptions& options,
                       Folded* folded) {
  const int64_t grains = (size_ + array::kGrain - 1) / array::kGrain;
  for (auto& pieces : folded->pieces) pieces.resize(static_cast<size_t>(grains));
  const auto run = [&](int64_t grain, Accumulator* accumulators) {
    Sink sink{accumulators, {}};
    for (auto& pieces : folded->pieces) sink.pieces.push_back(&pieces[static_cast<size_t>(grain)]);
    Borrow([&](Worker& worker) {
      worker.Run(grain * array::kGrain, std::min(size_, (grain + 1) * array::kGrain), addresses,
                 sink);
    });
  };
  Accumulator* const into = folded->accumulators.data();
  if (grains == 1) return run(0, into);
  std::atomic<bool> done = false;
  const auto fold = [&](int64_t grain, Accumulator* partial) {
    InitFolds(program_, partial);
    if (done.load(std::memory_order_relaxed)) return;
    run(grain, partial);
    if (AllDone(program_, partial)) done.store(true, std::memory_order_relaxed);
  };
  const auto merge = [&](int64_t, const Accumulator* partial) {
    MergeFolds(program_, into, partial);
  };
  const int64_t chunk = array::kChunkBytes / (array::kGrain * element_bytes_);
  array::FoldInOrder(grains, std::max<int64_t>(chunk, 1), folded->accumulators.size(), fold, merge,
                     options);
}

Folded Runner::Run(const Addresses& addresses, const array::RunOptions& options) {
  Folded folded;
  folded.accumulators.resize(program_.accumulators + program_.domains - 1);
  InitFolds(program_, folded.accumulators.data());
  folded.counts.assign(program_.domains, size_);
  folded.pieces.resize(program_.filtered.size());
  if (size_ != 0 && folded.accumulators.empty()) {
    array::Split(size_, element_bytes_, options, [&](int64_t begin, int64_t end) {
      Borrow([&](Worker& worker) { worker.Run(begin, end, addresses, {}); });
    });
  } else if (size_ != 0) {
    RunGrains(addresses, options, &folded);
  }
  for (size_t d = 1; d < program_.domains; ++d) {
    std::memcpy(&folded.counts[d], folded.accumulators[program_.accumulators + d - 1].bytes,
                sizeof(int64_t));
  }
  return folded;
}

}  // namespace spanflow::expr
