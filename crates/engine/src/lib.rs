//! Static training graphs compiled to programs that allocate nothing a step.
