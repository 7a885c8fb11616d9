// RowsSource: arrays cut along their first axis into chunks of consecutive rows, without copying.
// Several arrays of the same length are cut side by side.
//
// Owns: its views and what keeps their bytes alive; while it is open for a run, the blocks are
// borrowed (Borrower::kPipeline), so that nobody can close them.
// Threads: immutable; a parallel source. Attached: not needed.
// Fails: Make returns a ValueError for arrays that cannot be cut so; Open for closed ones; Produce
// an OSError when pages of a mapped file are gone.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "pipeline/stage.h"

namespace spanflow::pipeline {

class RowsSource final : public Source {
 public:
  // `rows` in a chunk; 0: as many as make about 1 MiB. `form`: what the consumer gets.
  // `not_empty`: no rows give one chunk without rows instead of none, so that dtype
  // and shape reach a stage that makes one result of all.
  // A run begins with the chunk number `first`.
  static base::Result<std::shared_ptr<const RowsSource>> Make(std::vector<Part> parts, int64_t rows,
                                                              Form form, bool not_empty = false,
                                                              int64_t first = 0);

  std::string Name() const override;
  Mode mode() const override { return Mode::kParallel; }
  int64_t first() const override { return first_; }
  base::Result<std::unique_ptr<SourceRun>> Open(Shape* shape) const override;

  const std::vector<Part>& parts() const { return parts_; }
  int64_t length() const { return parts_[0].view.layout.shape[0]; }
  int64_t rows() const { return rows_; }
  const Form& form() const { return form_; }

 private:
  RowsSource(std::vector<Part> parts, int64_t rows, Form form, bool not_empty, int64_t first)
      : parts_(std::move(parts)),
        rows_(rows),
        form_(std::move(form)),
        not_empty_(not_empty),
        first_(std::min(first, chunks())) {}

  int64_t chunks() const { return (length() + rows_ - 1) / rows_; }

  const std::vector<Part> parts_;
  const int64_t rows_;
  const Form form_;
  const bool not_empty_;
  const int64_t first_;
};

// The rows [first, first + count) of a view of at least one dimension.
array::View RowsOf(const array::View& view, int64_t first, int64_t count);

}  // namespace spanflow::pipeline
