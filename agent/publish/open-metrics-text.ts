/** Metric families as OpenMetrics 1.0 text. */

export interface Family {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'info'
  readonly unit?: string
  readonly help: string
  readonly samples: readonly Sample[]
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  /** A decimal. */
  readonly value: string
}

/** Families without a sample are left out: what is not known is absent, never 0. */
export function openMetrics(families: readonly Family[]): string {
  const lines = families
    .filter(({ samples }) => samples.length > 0)
    .flatMap(({ name, type, unit, help, samples }) => [
      `# TYPE ${name} ${type}`,
      ...(unit === undefined ? [] : [`# UNIT ${name} ${unit}`]),
      `# HELP ${name} ${escaped(help)}`,
      ...samples.map(({ labels, value }) => `${name}${SUFFIX[type]}${labelText(labels)} ${value}`),
    ])
  return `${[...lines, '# EOF'].join('\n')}\n`
}

const SUFFIX = { counter: '_total', gauge: '', info: '_info' } as const

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

const labelText = (labels: Readonly<Record<string, string>>): string => {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}
