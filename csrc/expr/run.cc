#include "expr/run.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>

#include "array/iterate.h"
#include "array/split.h"

namespace spanflow::expr {
namespace {

using array::kNoLimit;
using array::Loader;
using array::LoadPlan;
using array::Scratch;
using array::StorePlan;
using array::Storer;
using simd::Accumulator;

// What all registers of a program together may take of the L1 cache.
constexpr int64_t kL1Share = 32 << 10;
// What several readers share of data that no register holds.
constexpr int64_t kSharedBlockBytes = 16 << 10;

std::span<const int64_t> Spanned(const base::Dims& dims) {
  return {dims.data(), static_cast<size_t>(dims.size())};
}

// How a program runs over its arrays; shared by all workers.
struct Plan {
  const Program& program;
  std::vector<LoadPlan> loads;
  std::vector<StorePlan> stores;
  int64_t block = kNoLimit;       // elements
  int64_t register_bytes = 0;     // of each register and number
  int64_t bytes_per_element = 0;  // moved between memory and the program

  explicit Plan(const Program& p) : program(p), loads(p.inputs.size()), stores(p.outputs.size()) {
    const array::AxisOrder order = Order();
    const auto shape = Spanned(program.shape);
    for (size_t i = 0; i < loads.size(); ++i) {
      const array::View& view = program.inputs[i].view;
      base::Dims strides;
      array::BroadcastStrides(view.layout, program.shape, &strides);
      array::MakeWalk(view.data, shape, Spanned(strides), order, &loads[i].walk);
      loads[i].Make(view.dtype(), array::ComputeKind(view.dtype().kind()));
      block = std::min(block, loads[i].capacity);
      if (!loads[i].walk.constant()) bytes_per_element += view.dtype().itemsize();
    }
    for (size_t i = 0; i < stores.size(); ++i) {
      const array::View& view = program.outputs[i].view;
      array::MakeWalk(view.data, shape, Spanned(view.layout.strides), order, &stores[i].walk);
      stores[i].Make(view.dtype(), program.outputs[i].kind);
      block = std::min(block, stores[i].capacity);
      bytes_per_element += view.dtype().itemsize();
    }
    bytes_per_element = std::max<int64_t>(bytes_per_element, 1);
    LimitBlock();
  }

 private:
  // The order of memory of the first operand that has the whole shape. What is filtered is wanted
  // in C order.
  array::AxisOrder Order() const {
    const base::Dims c_order = base::ContiguousStrides(program.shape, 1);
    const base::Dims* strides = &c_order;
    if (program.filtered.empty()) {
      for (const Input& input : program.inputs) {
        if (input.view.layout.shape == program.shape) strides = &input.view.layout.strides;
      }
      for (const Output& output : program.outputs) strides = &output.view.layout.strides;
    }
    return array::OrderByStrides(Spanned(program.shape), Spanned(*strides));
  }

  void LimitBlock() {
    const auto registers = static_cast<int64_t>(program.registers + program.numbers.size());
    if (registers != 0) {
      const int64_t share = kL1Share / registers / 64 * 64;
      register_bytes = std::clamp<int64_t>(share, 1024, array::kRegisterBytes);
      block = std::min(block, register_bytes / program.widest);
    } else if (program.steps.size() + program.folds.size() > 1) {
      block = std::min(block, kSharedBlockBytes / 8);
    }
  }
};

// Where one grain's results go.
struct Sink {
  Accumulator* accumulators = nullptr;
  std::vector<std::vector<std::byte>*> pieces;  // one for each filtered output
};

// One thread's registers and its place in the data.
class Worker {
 public:
  explicit Worker(const Plan& plan)
      : plan_(plan),
        program_(plan.program),
        scratches_(
            std::make_unique_for_overwrite<Scratch[]>(plan.loads.size() + plan.stores.size())),
        loaders_(plan.loads.size()),
        storers_(plan.stores.size()),
        places_(program_.places()),
        counts_(program_.domains) {
    constexpr size_t kAlign = 64;
    const auto size = static_cast<size_t>(plan.register_bytes);
    const size_t registers = program_.registers + program_.numbers.size();
    memory_ = std::make_unique_for_overwrite<std::byte[]>(registers * size + kAlign);
    std::byte* next = memory_.get();
    next += -reinterpret_cast<uintptr_t>(next) & (kAlign - 1);
    for (size_t i = 0; i < program_.numbers.size(); ++i, next += size) {
      places_[program_.number_place(i)] = next;
      FillNumber(program_.numbers[i], next);
    }
    for (size_t i = 0; i < program_.registers; ++i, next += size) {
      places_[program_.register_place(i)] = next;
    }
  }

  // Elements [begin, end).
  void Run(int64_t begin, int64_t end, const Sink& sink) {
    for (size_t i = 0; i < loaders_.size(); ++i) {
      loaders_[i].Start(&plan_.loads[i], &scratches_[i], begin);
    }
    for (size_t i = 0; i < storers_.size(); ++i) {
      storers_[i].Start(&plan_.stores[i], &scratches_[loaders_.size() + i], begin);
    }
    while (begin < end) {
      const int64_t n = Prefer(std::min(plan_.block, end - begin));
      RunBlock(n, sink);
      begin += n;
    }
  }

 private:
  void FillNumber(const NumberInput& number, std::byte* to) const {
    const int64_t itemsize = base::InfoOf(number.kind).itemsize;
    simd::Gather(number.item.data(), 0, static_cast<size_t>(itemsize), to,
                 static_cast<size_t>(plan_.register_bytes / itemsize));
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
    for (const Step& step : program_.steps) RunStep(step);
    for (const Fold& fold : program_.folds) {
      array::UpdateAll(fold.kernels.All(), sink.accumulators + fold.first, places_[fold.in],
                       counts_[fold.domain]);
    }
    for (size_t i = 0; i < program_.filtered.size(); ++i)
      Collect(program_.filtered[i], sink.pieces[i]);
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

  void Collect(const FilteredOutput& output, std::vector<std::byte>* to) {
    const auto itemsize = static_cast<size_t>(base::InfoOf(output.kind).itemsize);
    const std::byte* const from = places_[output.from];
    to->insert(to->end(), from, from + counts_[output.domain] * itemsize);
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
      case Step::Type::kCast:
        return step.cast(places_[step.in[0]], out, n);
      case Step::Type::kCompress:
        counts_[step.to_domain] =
            simd::Compress(places_[step.in[0]], static_cast<size_t>(step.itemsize),
                           reinterpret_cast<const uint8_t*>(places_[step.in[1]]), n, out);
    }
  }

  const Plan& plan_;
  const Program& program_;
  std::unique_ptr<std::byte[]> memory_;
  std::unique_ptr<Scratch[]> scratches_;
  std::vector<Loader> loaders_;
  std::vector<Storer> storers_;
  std::vector<std::byte*> places_;
  std::vector<size_t> counts_;  // elements of each domain in this block
};

// Workers that wait for their next piece.
class Workers {
 public:
  explicit Workers(const Plan& plan) : plan_(plan) {}

  void Run(int64_t begin, int64_t end, const Sink& sink) {
    std::unique_ptr<Worker> worker = Take();
    worker->Run(begin, end, sink);
    const std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(std::move(worker));
  }

 private:
  std::unique_ptr<Worker> Take() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!waiting_.empty()) {
        std::unique_ptr<Worker> worker = std::move(waiting_.back());
        waiting_.pop_back();
        return worker;
      }
    }
    return std::make_unique<Worker>(plan_);
  }

  const Plan& plan_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Worker>> waiting_;
};

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

// In grains, whose partial results are merged in order.
void RunGrains(const Plan& plan, int64_t n, const array::RunOptions& options, Folded* folded) {
  const Program& program = plan.program;
  Workers workers(plan);
  const int64_t grains = (n + array::kGrain - 1) / array::kGrain;
  for (auto& pieces : folded->pieces) pieces.resize(static_cast<size_t>(grains));
  const auto run = [&](int64_t grain, Accumulator* accumulators) {
    Sink sink{accumulators, {}};
    for (auto& pieces : folded->pieces) sink.pieces.push_back(&pieces[static_cast<size_t>(grain)]);
    workers.Run(grain * array::kGrain, std::min(n, (grain + 1) * array::kGrain), sink);
  };
  Accumulator* const into = folded->accumulators.data();
  if (grains == 1) return run(0, into);
  std::atomic<bool> done = false;
  const auto fold = [&](int64_t grain, Accumulator* partial) {
    InitFolds(program, partial);
    if (done.load(std::memory_order_relaxed)) return;
    run(grain, partial);
    if (AllDone(program, partial)) done.store(true, std::memory_order_relaxed);
  };
  const auto merge = [&](int64_t, const Accumulator* partial) {
    MergeFolds(program, into, partial);
  };
  const int64_t chunk = array::kChunkBytes / (array::kGrain * plan.bytes_per_element);
  array::FoldInOrder(grains, std::max<int64_t>(chunk, 1), folded->accumulators.size(), fold, merge,
                     options);
}

}  // namespace

base::Status Run(const Program& program, const array::RunOptions& options, Folded* folded) {
  array::RunScope scope;
  for (const Input& input : program.inputs) SPANFLOW_TRY(scope.Add(input.view));
  for (const Output& output : program.outputs) SPANFLOW_TRY(scope.Add(output.view));
  folded->accumulators.resize(program.accumulators + program.domains - 1);
  InitFolds(program, folded->accumulators.data());
  int64_t n = 1;
  for (const int64_t extent : program.shape) n *= extent;
  folded->counts.assign(program.domains, n);
  folded->pieces.resize(program.filtered.size());
  if (n != 0) {
    const Plan plan(program);
    if (folded->accumulators.empty()) {
      Workers workers(plan);
      array::Split(n, plan.bytes_per_element, options,
                   [&](int64_t begin, int64_t end) { workers.Run(begin, end, {}); });
    } else {
      RunGrains(plan, n, options, folded);
    }
  }
  for (size_t d = 1; d < program.domains; ++d) {
    std::memcpy(&folded->counts[d], folded->accumulators[program.accumulators + d - 1].bytes,
                sizeof(int64_t));
  }
  return scope.Finish();
}

}  // namespace spanflow::expr
