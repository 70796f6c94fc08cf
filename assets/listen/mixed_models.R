# Mixed models of a listening test with crossed random effects of listeners and items.
#   Rscript mixed_models.R FILE.csv     FILE.csv: written by `csm listen report --long FILE.csv`
# Packages: lme4; for opinions also ordinal, if it is installed.
suppressPackageStartupMessages(library(lme4))
arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[1], stringsAsFactors = TRUE)
data <- subset(data, finished == "true" & screened_out == "false")
data$listener <- factor(data$listener)
data$item <- factor(data$item)

# Random effects of what there are several of.
random <- c(if (nlevels(data$listener) > 1) "(1 | listener)", if (nlevels(data$item) > 1) "(1 | item)")
model <- function(left) as.formula(paste(left, paste(c("", random), collapse = " + ")))

if (all(is.na(data$other) | data$other == "")) {
  # Ratings and opinions: a value per sound. Differences of each pair of conditions.
  if (nlevels(data$condition) > 1) {
    for (base in levels(data$condition)) {
      data$condition <- relevel(data$condition, base)
      fit <- lmer(model("value ~ condition"), data)
      table <- coef(summary(fit))[-1, , drop = FALSE]
      p <- 2 * pnorm(-abs(table[, "t value"]))
      cat("\nAgainst", base, "\n")
      print(cbind(table, "Pr(>|z|)" = p))
    }
  }
  if (all(data$value %in% 1:5) && requireNamespace("ordinal", quietly = TRUE)) {
    cat("\nCumulative link mixed model\n")
    print(summary(ordinal::clmm(model("factor(value) ~ condition"), data)))
  }
} else {
  for (pair in unique(paste(data$condition, data$other, sep = " / "))) {
    votes <- subset(data, paste(condition, other, sep = " / ") == pair)
    cat("\n", pair, "\n")
    if (all(votes$value %in% c(0, 0.5, 1))) {
      votes <- subset(votes, value != 0.5) # ties say nothing about the direction
      print(summary(glmer(model("value ~ 1"), votes, family = binomial)))
    } else {
      fit <- lmer(model("value ~ 1"), votes)
      print(cbind(coef(summary(fit)), "Pr(>|z|)" = 2 * pnorm(-abs(coef(summary(fit))[, "t value"]))))
    }
  }
}
