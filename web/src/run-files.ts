/** What a training run leaves in the browser, so that it survives a reload: the text, what was chosen, the log, checkpoints. */
import { type Directory, EnvironmentError, memoryDirectory, opfsDirectory } from '../../src/index.ts';

/** What was chosen when a run began. */
export interface RunPlan {
  readonly size: string;
  readonly steps: number;
  readonly learningRate: number;
  readonly prompt: string;
  readonly vocabSize: number;
}

/** One step in the plot. */
export interface LogPoint {
  readonly step: number;
  readonly loss: number;
  readonly accuracy: number;
  readonly evalLoss?: number;
}

export interface Sample {
  readonly step: number;
  readonly text: string;
}

export interface RunLog {
  readonly points: LogPoint[];
  readonly samples: Sample[];
}

export class RunFiles {
  readonly folder: Directory;
  /** Whether it outlives the page. */
  readonly lasting: boolean;

  private constructor(folder: Directory, lasting: boolean) {
    this.folder = folder;
    this.lasting = lasting;
  }

  static async open(): Promise<RunFiles> {
    try {
      return new RunFiles(await opfsDirectory('training'), true);
    } catch (error) {
      // A private window: training works, and the page says that nothing is kept.
      if (!(error instanceof EnvironmentError)) throw error;
      return new RunFiles(memoryDirectory(), false);
    }
  }

  checkpoints(): Promise<Directory> {
    return this.folder.subdirectory('checkpoints');
  }

  /** Forgets the run before, and keeps this one. */
  async begin(plan: RunPlan, text: string): Promise<void> {
    await this.discard();
    await this.folder.write('text.txt', text);
    await this.folder.write('run.json', JSON.stringify(plan));
  }

  /** The run that is there, or undefined. */
  async plan(): Promise<RunPlan | undefined> {
    return (await this.folder.has('run.json')) ? JSON.parse(await this.folder.readText('run.json')) : undefined;
  }

  text(): Promise<string> {
    return this.folder.readText('text.txt');
  }

  async log(): Promise<RunLog> {
    return (await this.folder.has('log.json'))
      ? JSON.parse(await this.folder.readText('log.json'))
      : { points: [], samples: [] };
  }

  saveLog(log: RunLog): Promise<void> {
    return this.folder.write('log.json', JSON.stringify(log));
  }

  /** Where the finished model goes. */
  finished(): Promise<Directory> {
    return this.folder.subdirectory('model');
  }

  /** The newest model of the run: the finished one, or that of the last complete checkpoint. */
  async newest(): Promise<Directory | undefined> {
    const finished = await this.finished();
    if (await finished.has('tokenizer.json')) return finished;
    const checkpoints = await this.checkpoints();
    for (const name of (await checkpoints.list()).reverse()) {
      const folder = await checkpoints.subdirectory(name.replace(/\/$/, ''));
      if (await folder.has('trainer.json')) return folder;
    }
    return undefined;
  }

  async discard(): Promise<void> {
    for (const name of ['run.json', 'checkpoints', 'model', 'log.json', 'text.txt']) await this.folder.remove(name);
  }
}
