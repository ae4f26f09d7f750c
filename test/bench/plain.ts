/** Programs of the bench as plain JavaScript, compiled as `npm run build` compiles the product: what a board would run. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

export interface Running {
  /** Node's own, before the program. */
  readonly flags?: readonly string[]
  readonly onLine?: (line: string) => Promise<string>
}

export interface Plain {
  /** For files of the programs' own. */
  readonly folder: string
  /** Runs `program` with its task; answers its last line, read as JSON. `onLine` hears the others and answers each. */
  run<T>(program: string, task: object, running?: Running): Promise<T>
  remove(): void
}

/** Compiles programs of this folder and all that they import, to where packages are found from. */
export function compilePlain(programs: readonly string[]): Plain {
  const cache = `${root}node_modules/.cache`
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(`${cache}/tieline-bench-`)
  const config = {
    extends: `${root}hw/image/tsconfig.build.json`,
    compilerOptions: { outDir: folder, rootDir: root, typeRoots: [`${root}node_modules/@types`] },
    files: programs.map(program => `${root}test/bench/${program}.ts`),
    include: [],
  }
  writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(config))
  writeFileSync(`${folder}/package.json`, '{"type":"module"}')
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const compiler = [`${root}node_modules/typescript/bin/tsc`, '-p', folder]
  const tsc = spawnSync(process.execPath, compiler, { encoding: 'utf8' })
  if (tsc.status !== 0) {
    remove()
    throw new Error(`${programs.join(' and ')} did not compile: ${tsc.stdout}`)
  }
  return {
    folder,
    remove,
    run: <T>(program: string, task: object, { flags = [], onLine = async () => '' }: Running = {}) =>
      new Promise<T>((resolve, reject) => {
        const args = [...flags, `${folder}/test/bench/${program}.js`, JSON.stringify(task)]
        const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
        let last = ''
        createInterface({ input: child.stdout }).on('line', line => {
          last = line
          if (!line.startsWith('{')) void onLine(line).then(answer => child.stdin.write(`${answer}\n`), reject)
        })
        child.on('close', code => {
          if (code === 0) resolve(JSON.parse(last) as T)
          else reject(new Error(`${program} ended with ${code}: ${last}`))
        })
      }),
  }
}
