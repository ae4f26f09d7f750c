/** Runs `tieline` in this process and hands back what it said. */
import { tieline } from '../../../agent/cli/tieline.ts'

export interface Said {
  readonly exit: number
  readonly out: string
  readonly err: string
  /** The lines of stdout as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it, its assertions say.
  json(): any[]
}

export async function runTieline(
  args: readonly string[],
  {
    env = {},
    interrupted = new Promise<void>(() => {}),
    onOut = () => {},
  }: { env?: Record<string, string>; interrupted?: Promise<void>; onOut?: (text: string) => void } = {},
): Promise<Said> {
  let out = ''
  let err = ''
  const terminal = {
    out: (text: string) => {
      out += text
      onOut(text)
    },
    err: (text: string) => {
      err += text
    },
    colour: false,
    env,
  }
  const exit = await tieline(args, terminal, () => interrupted)
  return {
    exit,
    out,
    err,
    json: () =>
      out
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line)),
  }
}
