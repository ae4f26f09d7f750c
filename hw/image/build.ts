#!/usr/bin/env node
/**
 * `npm run build`: TypeScript to plain JavaScript in dist/, and the page bundled beside it. The bench calls `buildPage`
 * to serve the page from a fresh checkout without a build; the .deb is made of what `bundlePrograms` returns. The one file that
 * knows esbuild.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build, type Plugin } from 'esbuild'
import { PAGE_FILES, type PageFile } from '../../agent/web/page-files.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Bundles the page in memory. `minify` is for shipping: the bench starts sooner without. */
export async function buildPage(minify: boolean): Promise<readonly PageFile[]> {
  const folder = `${root}agent/web/page/`
  const { outputFiles } = await build({
    entryPoints: [`${folder}main.tsx`, `${folder}page.css`],
    entryNames: '[ext]',
    outdir: folder,
    bundle: true,
    write: false,
    minify,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    logLevel: 'error',
    // The page's own tsconfig.json is for the type checker.
    tsconfigRaw: {},
  })
  const built = (ending: string) => outputFiles.find(file => file.path.endsWith(ending))!.contents
  const body: Readonly<Record<(typeof PAGE_FILES)[number]['file'], () => Uint8Array>> = {
    'page.html': () => readFileSync(`${folder}page.html`),
    'page.css': () => built('.css'),
    'page.js': () => built('.js'),
  }
  return PAGE_FILES.map(({ path, file, contentType }) => ({ path, contentType, body: body[file]() }))
}

/** What the page costs on the wire, in bytes. */
export const gzippedSize = (page: readonly PageFile[]): number =>
  page.reduce((sum, { body }) => sum + gzipSync(body, { level: 9 }).length, 0)

/** Native parts of packages, which lie beside the bundle, by the file of the package that would look for its own. */
const NATIVE_LOADERS: readonly (readonly [loader: RegExp, contents: string])[] = [
  [/koffi\/src\/koffi\/src\/static\.js$/, "export const loadStatic = () => require('../native/koffi.node')"],
  [/bindings-cpp\/dist\/serialport-bindings\.js$/, "exports.binding = require('../native/serialport.node')"],
  [/classic-level\/binding\.js$/, "module.exports = require('../native/classic-level.node')"],
]

/** Lets native parts lie in one folder, and every program file find its neighbours as if it still lay where it was written. */
const places: Plugin = {
  name: 'places',
  setup({ onLoad }) {
    for (const [filter, contents] of NATIVE_LOADERS) onLoad({ filter }, () => ({ contents }))
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8')
      if (path.includes('/node_modules/') || !text.includes('import.meta.url')) return undefined
      const own = JSON.stringify(`../${path.slice(root.length).replace(/\.ts$/, '.js')}`)
      return { contents: text.replaceAll('import.meta.url', `new URL(${own}, import.meta.url).href`), loader: 'ts' }
    })
  },
}

const LAUNCHER = '../../agent/update/main.ts'

/** The launcher, whole in one file: it lies in a folder beside agent/, and shares nothing with any release. */
export async function bundleLauncher(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(LAUNCHER, import.meta.url))],
    outfile: `${root}launch/launch.js`,
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    minifySyntax: true,
    minifyWhitespace: true,
    lineLimit: 200,
    legalComments: 'none',
    logLevel: 'error',
    plugins: [places],
    tsconfigRaw: {},
  })
  return outputFiles[0]!.contents
}

export interface Bundle {
  /** By path in the package's folder: agent/tieline.js, agent/tieline-ledger.js and what they share. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Folders of the packages that parts of it come from, below node_modules/. */
  readonly packages: readonly string[]
}

/** The programs that a gateway runs, with all they import but native parts, in few files: they start sooner than from many. */
export async function bundlePrograms(): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: { tieline: 'agent/main.ts', 'tieline-ledger': 'agent/validator/main.ts' },
    outdir: `${root}agent`,
    bundle: true,
    splitting: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    external: ['*.node'],
    // ws would look for them, above the releases and in the user's home, where the agent can write what nobody signed.
    define: { 'process.env.WS_NO_BUFFER_UTIL': '"1"', 'process.env.WS_NO_UTF_8_VALIDATE': '"1"' },
    // Names stay, for what a stack says.
    minifySyntax: true,
    minifyWhitespace: true,
    // A crash prints the line where it happened.
    lineLimit: 200,
    legalComments: 'none',
    logLevel: 'error',
    // CommonJS packages ask for Node's own modules by it.
    banner: { js: "import{createRequire as requireAt}from'node:module';const require=requireAt(import.meta.url);" },
    plugins: [places],
    tsconfigRaw: {},
  })
  const files = new Map(outputFiles.map(({ path, contents }) => [path.slice(root.length), contents]))
  files.set('agent/highs.wasm', readFileSync(`${root}node_modules/highs/build/highs.wasm`))
  const inputs = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs))
  const packages = inputs.flatMap(
    path => /^node_modules\/((?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? [],
  )
  return { files, packages: [...new Set(packages)].sort() }
}

/** Programs in dist/ that a shell starts by name: package.json's `bin`. */
const programs = (): readonly string[] =>
  Object.values((JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { bin: Record<string, string> }).bin)

/** Into `folder`, which is emptied; the exit code. */
export async function buildAll(folder: string): Promise<number> {
  rmSync(folder, { recursive: true, force: true })
  const tsc = spawnSync(
    process.execPath,
    [`${root}node_modules/typescript/bin/tsc`, '-p', 'hw/image/tsconfig.build.json', '--outDir', folder],
    // What it says is talk: stdout is for results.
    { cwd: root, stdio: ['ignore', 2, 2] },
  )
  if (tsc.status !== 0) return 1
  const page = await buildPage(true)
  mkdirSync(`${folder}/agent/web/page`, { recursive: true })
  for (const [index, { file }] of PAGE_FILES.entries()) {
    writeFileSync(`${folder}/agent/web/page/${file}`, page[index]!.body)
  }
  cpSync(`${root}hw/boards`, `${folder}/hw/boards`, { recursive: true })
  const made = programs().filter(program => {
    try {
      chmodSync(`${folder}/${program.replace(/^dist\//, '')}`, 0o755)
      return true
    } catch {
      process.stderr.write(`${program} is named in package.json's bin, but was not built\n`)
      return false
    }
  })
  process.stderr.write(`built ${made.join(', ')} and the page (${(gzippedSize(page) / 1000).toFixed(1)} kB gzipped)\n`)
  return made.length === programs().length ? 0 : 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await buildAll(`${root}dist`)
