/** One line of JSON, with its end. JSON has no whole numbers of any size: those of a fault or a page are said as text. */
export const jsonLine = (said: object): string =>
  `${JSON.stringify(said, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}\n`
