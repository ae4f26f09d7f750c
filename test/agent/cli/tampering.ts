/** A file of JSON, changed by one digit at a time. */

// biome-ignore lint/suspicious/noExplicitAny: whatever stands in the file.
type Json = any

/** Each place of a text in the file, by what stands around it; what is no text is left out. */
export function* textsOf(value: Json, place = ''): Generator<readonly [string, string]> {
  if (typeof value === 'string') yield [place, value]
  else if (typeof value === 'object' && value !== null)
    for (const [name, inner] of Object.entries(value)) yield* textsOf(inner, `${place}/${name}`)
}
export const atPlace = (records: Json, place: string, change: (text: string) => string) => {
  const names = place.split('/').slice(1)
  const holder = names.slice(0, -1).reduce((inner, name) => inner[name], records)
  holder[names.at(-1)!] = change(holder[names.at(-1)!])
}
/** Another digit of the same alphabet. */
export const otherDigit = (text: string, i: number) => {
  const digit = text[i]!
  const other = /[0-9]/.test(digit)
    ? String((Number(digit) + 1) % 10)
    : digit === 'A'
      ? 'B'
      : digit === 'a'
        ? 'b'
        : digit === digit.toUpperCase()
          ? 'A'
          : 'a'
  return text.slice(0, i) + other + text.slice(i + 1)
}
