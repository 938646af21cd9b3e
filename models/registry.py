"""The families, a line each. The tests run their contract suite on every one, and the folders must match."""

FAMILIES = {
    "cnn": "Residual convolutional network (He et al. 2016): classification",
    "ddpm": "Denoising diffusion, class-conditional (Ho et al. 2020): generation",
    "detr": "A set of boxes from queries that look at the picture (Carion et al. 2020): detection",
    "dreambooth": "A subject from five pictures, by a trained text-to-image model (Ruiz et al. 2023): text to image",
    "encoder_decoder": "Recurrent encoder and decoder with attention (Bahdanau et al. 2015): transcription",
    "gan": "Generative adversarial network (Goodfellow et al. 2014): generation, by class",
    "gmm": "A Gaussian mixture per class, fitted by EM (Dempster et al. 1977): density, class by Bayes",
    "head": "A face from landmarks and a few pictures of somebody (Zakharov et al. 2019): reenactment",
    "hf_classifier": "Fine-tuning of a Hugging Face classifier on few labels (Yosinski et al. 2014): classification",
    "hmm": "A hidden Markov model per class over image rows, fitted by Baum-Welch (Baum et al. 1970): density",
    "logreg": "Multinomial logistic regression, solved to its optimum by L-BFGS: classification",
    "mlp": "Neural network: linear layers and activations, fitted by backpropagation: classification",
    "pix2pix": "U-Net and patch discriminator, L1 and adversarial (Isola et al. 2017): translation of images",
    "rnn": "Recurrent network over image rows: vanilla, LSTM or GRU cells: classification",
    "segmenter": "Vision transformer with a mask decoder (Strudel et al. 2021): segmentation",
    "svm": "Support vector machine, linear or RBF (Cortes & Vapnik 1995): classification",
    "text_to_image": "Images from captions by latent diffusion (Rombach et al. 2022): text to image",
    "transformer": "Encoders and decoders of attention alone (Vaswani et al. 2017): transcription",
    "vae": "Variational autoencoder (Kingma & Welling 2014): generation",
    "vit": "Vision transformer (Dosovitskiy et al. 2021): classification",
}
