/** The trainer, its options, schedules and checkpoints. */
export type { Evaluation } from './evaluate.ts';
export { checkTrainingFits, type TrainingBytes, trainingBytes } from './memory.ts';
export { completeTrainerOptions, type TrainerOptions, type TrainerSettings } from './options.ts';
export { learningRateAt, type Schedule, type ScheduleName } from './schedule.ts';
export { type RunOptions, Trainer, type TrainerFiles, type TrainResult, type TrainStep } from './trainer.ts';
