/**
 * The parts of a filter line that hold by themselves: pure. The server alone reads filters; this only finds where one
 * could be cut, for the buttons that take a part away. Where that is not sure the line is one part.
 */

/** The words of a line: cut at spaces outside of quotes and parentheses. */
function wordsOf(line: string): string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  let depth = 0;
  for (let i = 0; i < line.length; i++) {
    const c = line[i] as string;
    if (quote !== "") {
      if (quote === '"' && c === "\\") word += line[i++];
      else if (c === quote) quote = "";
    } else if (c === '"' || c === "`") quote = c;
    else if (c === "(") depth += 1;
    else if (c === ")") depth -= 1;
    if (c === " " && quote === "" && depth === 0) {
      if (word !== "") words.push(word);
      word = "";
    } else word += line[i] ?? "";
  }
  if (word !== "") words.push(word);
  return quote === "" && depth === 0 ? words : [line.trim()];
}

const OPERATOR = /^(!=|==|<=|>=|!~|[:=<>~])$/;

/** The clauses of a line; one that has `OR` between its words is a single one. */
export function clausesOf(line: string): string[] {
  const words = wordsOf(line);
  if (words.length === 0) return [];
  if (words.includes("OR")) return [line.trim()];
  const clauses: string[] = [];
  let open = false;
  words.forEach((word, i) => {
    const before = words[i - 1] ?? "";
    const joins = open || OPERATOR.test(word) || word === "in" || (word === "not" && words[i + 1] === "in");
    const last = clauses.length - 1;
    // `AND` says nothing that standing beside each other does not say; `NOT` waits for what it is about.
    if (word === "AND") return;
    if (last >= 0 && (joins || before === "NOT")) clauses[last] += ` ${word}`;
    else clauses.push(word);
    open =
      OPERATOR.test(word) ||
      /([:=<>~])$/.test(word) ||
      word === "in" ||
      (word === "not" && words[i + 1] === "in");
  });
  return clauses;
}

/** The line without one of its clauses. */
export function without(line: string, clause: number): string {
  return clausesOf(line)
    .filter((_, i) => i !== clause)
    .join(" ");
}
